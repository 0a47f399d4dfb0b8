import { mkdirSync, writeFileSync } from 'node:fs'
import { cores, requireTool } from '../machine.ts'
import { freePort, listens, start } from '../processes.ts'
import type { Subject } from './subject.ts'

/** The physical reference: what a proxy in C costs that looks at nothing. */
export const nginx: Subject = {
  name: 'nginx',
  async start(bench) {
    requireTool('nginx', 'nginx-light', 'it is measured beside the hub; leave it out with --subjects')
    const port = await freePort()
    const folder = `${bench.workFolder}/nginx`
    mkdirSync(folder, { recursive: true })
    writeFileSync(`${folder}/nginx.conf`, configuration(folder, port, bench.upstreamPort))
    const started = await start('nginx', {
      core: cores.subject,
      command: ['nginx', '-p', folder, '-c', `${folder}/nginx.conf`, '-e', `${folder}/error.log`],
      logFile: `${bench.workFolder}/nginx.log`,
      isReady: () => listens(port),
    })
    return { ...started, port, path: '/v1/chat/completions', headers: { authorization: 'Bearer sk-caller' } }
  },
}

const configuration = (folder: string, port: number, upstreamPort: number) => `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  keepalive_requests 1000000000;
  upstream provider { server 127.0.0.1:${upstreamPort}; keepalive 512; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer sk-upstream";
      proxy_buffering off;
    }
  }
}
`
