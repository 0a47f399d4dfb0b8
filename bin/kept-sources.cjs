'use strict'
// Keeps our files without their types, beside the packages, who may be trusted as much: a process that finds them loads no
// compiler of types, in none of its threads, which is 46 MB of memory. Node's own cache of compiled files would do as much and
// holds all that it has read for as long as the process lives, which is 16 MB.
//
//   node bin/kept-sources.cjs     makes them, for an image that is read-only later

var crypto = require('crypto')
var fs = require('fs')
var path = require('path')
var url = require('url')
var childProcess = require('child_process')
var nodeModule = require('module')
var isMainThread = require('worker_threads').isMainThread

var root = path.join(__dirname, '..')
var sources = path.join(root, 'src')
// The second is what systemd gives a service that may not write beside its program.
var folders = [path.join(root, 'node_modules', '.cache', 'gatehouse')].concat(process.env.CACHE_DIRECTORY || [])

/** From now on, files of ours are read without their types. Does nothing where Node keeps compiled files or cannot be told. */
function keepSources() {
  if (!nodeModule.registerHooks || !nodeModule.stripTypeScriptTypes) return
  if (process.env.NODE_COMPILE_CACHE || process.env.NODE_DISABLE_COMPILE_CACHE) return
  var mayFill = isMainThread
  nodeModule.registerHooks({
    load: function (address, context, next) {
      if (!address.startsWith('file:') || !address.endsWith('.ts')) return next(address, context)
      var file = url.fileURLToPath(address)
      if (!file.startsWith(sources + path.sep)) return next(address, context)
      var source = fs.readFileSync(file, 'utf8')
      var kept = find(source)
      if (kept === null && mayFill) {
        mayFill = false
        // In a process of its own: the compiler would stay in this one.
        childProcess.spawnSync(process.execPath, [__filename], { stdio: 'ignore' })
        kept = find(source)
      }
      return kept === null ? next(address, context) : { format: 'module', source: kept, shortCircuit: true }
    },
  })
  // Threads are given it by the flag, as every preload is.
  if (isMainThread) process.execArgv.push('--require', __filename)
}

/** Its text says which file it is: a source that was changed is another one. */
function nameOf(source) {
  return crypto.createHash('sha256').update(String(process.versions.amaro)).update(source).digest('hex').slice(0, 40) + '.js'
}

function find(source) {
  var name = nameOf(source)
  for (var folder of folders) {
    try {
      return fs.readFileSync(path.join(folder, name), 'utf8')
    } catch (error) {
      // Not kept here.
    }
  }
  return null
}

function fill(folder) {
  fs.mkdirSync(folder, { recursive: true })
  var kept = new Set(fs.readdirSync(folder))
  fs.readdirSync(sources, { recursive: true, withFileTypes: true }).forEach(function (entry) {
    if (!/\.ts$/.test(entry.name) || /(\.test|\.d)\.ts$/.test(entry.name)) return
    var source = fs.readFileSync(path.join(entry.parentPath, entry.name), 'utf8')
    var name = nameOf(source)
    if (kept.has(name)) return
    var half = path.join(folder, name + '.' + process.pid)
    fs.writeFileSync(half, nodeModule.stripTypeScriptTypes(source))
    fs.renameSync(half, path.join(folder, name))
  })
}

/** Node warns of an experimental feature that we chose; what it makes was the same in every version since 22.13. */
process.emitWarning = (function (emitWarning) {
  return function (warning) {
    if (/^stripTypeScriptTypes is an experimental feature/.test(String((warning && warning.message) || warning))) return
    return emitWarning.apply(process, arguments)
  }
})(process.emitWarning)

if (require.main === module) {
  var failures = []
  var isFilled = folders.some(function (folder) {
    try {
      fill(folder)
      return true
    } catch (error) {
      failures.push(error.message)
      return false
    }
  })
  if (!isFilled) {
    process.stderr.write('The sources cannot be kept: ' + failures.join('; ') + '\n')
    process.exit(1)
  }
} else if (!isMainThread) {
  keepSources()
}

module.exports = { keepSources: keepSources }
