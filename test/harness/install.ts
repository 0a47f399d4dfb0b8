import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'

const policyFile = '/usr/sbin/policy-rc.d'

/** Installs a Debian package for the tests, without starting what it brings. Throws, saying why, where that cannot be. */
export function installPackage(name: string): void {
  if (process.getuid?.() !== 0) throw new Error(`it is not installed, and only root could install the package ${name}`)
  if (!isDebianLike())
    throw new Error(`it is not installed, and the package ${name} is installed here only on Debian or Ubuntu`)
  console.log(`Installing ${name} with apt-get for the tests`)
  // A policy of the machine's own stays in force.
  const isOurs = !existsSync(policyFile)
  // Debian asks this program before a package starts its service; 101 means no.
  if (isOurs) writeFileSync(policyFile, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    aptGet('update', '-q')
    aptGet('install', '-q', '-y', '--no-install-recommends', name)
  } finally {
    if (isOurs) rmSync(policyFile, { force: true })
  }
}

function aptGet(...args: string[]) {
  try {
    execFileSync('apt-get', ['-o', 'DPkg::Lock::Timeout=120', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    })
  } catch (error) {
    const said = String((error as { stderr?: Buffer }).stderr ?? error)
      .trim()
      .split('\n')
      .slice(-2)
      .join(' · ')
    throw new Error(`apt-get ${args[0]} failed: ${said}`)
  }
}

function isDebianLike(): boolean {
  return (
    existsSync('/etc/os-release') && /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'))
  )
}
