{{- define "gatehouse.labels" -}}
app.kubernetes.io/name: gatehouse
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "gatehouse.hubLabels" -}}
{{ include "gatehouse.labels" . }}
app.kubernetes.io/component: hub
{{- end }}

{{- define "gatehouse.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- /* What every pod of ours has: no token, no variables named after Services (they may be settings of ours), not root. */ -}}
{{- define "gatehouse.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "gatehouse.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end }}

{{- define "gatehouse.hubPod" -}}
metadata:
  labels:
    {{- include "gatehouse.hubLabels" . | nindent 4 }}
spec:
  {{- include "gatehouse.podSecurity" . | nindent 2 }}
  # preStop, server.drain_seconds and usage.flush_seconds fit in.
  terminationGracePeriodSeconds: 60
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: hub
      image: {{ include "gatehouse.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve]
      ports: [{ name: http, containerPort: 8000 }]
      envFrom: [{ secretRef: { name: {{ .Values.existingSecret }} } }]
      env:
        - name: GATEHOUSE_TELEMETRY_INSTANCE
          valueFrom: { fieldRef: { fieldPath: metadata.name } }
        {{- range $name, $value := .Values.settings }}
        - name: {{ $name }}
          value: {{ $value | quote }}
        {{- end }}
      lifecycle: { preStop: { exec: { command: [sleep, "5"] } } }
      startupProbe:
        httpGet: { path: /livez, port: http }
        periodSeconds: 2
        failureThreshold: 75
      livenessProbe:
        httpGet: { path: /livez, port: http }
        periodSeconds: 10
        timeoutSeconds: 3
        failureThreshold: 3
      readinessProbe:
        httpGet: { path: /readyz, port: http }
        periodSeconds: 3
        timeoutSeconds: 2
        failureThreshold: 2
      {{- include "gatehouse.containerSecurity" . | nindent 6 }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - { name: data, mountPath: /data }
        - { name: tmp, mountPath: /tmp }
  volumes:
    - { name: tmp, emptyDir: { medium: Memory, sizeLimit: 64Mi } }
    {{- if eq .Values.mode "scaled" }}
    # It outlives a crash of the container, not the pod: see deploy/kubernetes/scaled.yml.
    - { name: data, emptyDir: { sizeLimit: 10Gi } }
    {{- end }}
{{- end }}
