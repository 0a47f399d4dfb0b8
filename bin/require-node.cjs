'use strict'
// For npm scripts: `node --require ./bin/require-node.cjs some.ts` runs some.ts with a Node that can.

var Module = require('module')
var withNode = require('./node-version.cjs').withNode

var runMain = Module.runMain
// The script must not start here when another Node runs it.
Module.runMain = function () {}
withNode(function () {
  Module.runMain = runMain
})
