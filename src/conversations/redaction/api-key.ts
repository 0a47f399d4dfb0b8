import { definePack } from './pack.ts'

export const apiKey = definePack({
  name: 'api_key',
  patterns: [
    // The end may be missing where a text was cut.
    /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\s\S]{0,8000}?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|$)/g,
    /(?<![A-Za-z0-9_-])(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}/g,
    /(?<![A-Za-z0-9_-])(?:gh[opsur]_|github_pat_|glpat-|hf_|xox[abeprs]-|xapp-|npm_|gsk_)[A-Za-z0-9_-]{16,}/g,
    /(?<![A-Za-z0-9_-])AIza[A-Za-z0-9_-]{30,}/g,
    /(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Z0-9])/g,
    // JSON Web Tokens: https://www.rfc-editor.org/rfc/rfc7519
    /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}/g,
    /(?<![A-Za-z0-9_-])Bearer +[A-Za-z0-9._~+/-]{20,}=*/gi,
  ],
})
