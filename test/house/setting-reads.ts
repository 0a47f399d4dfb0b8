import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { listSources, repository } from './imports.ts'

/** A place where a member called like a setting is read; `isCopy` where it is read once, when something is made or started. */
export type SettingRead = { file: string; line: number; name: string; owner: string; maker: string; isCopy: boolean }

/** Functions of a module that run once for each hub: what they read and do not read again is a copy of that moment. */
const makers = /^(create|open|start|build|define|compile)[A-Z]/
/** Where a callback is called at once, so that it belongs to the moment of whoever calls. */
const atOnce = /^(map|filter|flatMap|forEach|some|every|find|reduce|sort|toSorted|fromEntries|entries|then)$/

/** Every place in the program where one of `names` is read as a member or taken out of an object. */
export function readSettingUses(names: ReadonlySet<string>): SettingRead[] {
  return (
    listSources()
      // What describes settings, and what runs beside a hub or before it.
      .filter((path) => !/config\.ts$|(^|\/)schema\.ts$|^src\/(cli|migrations|doctor|demo)\//.test(path))
      .flatMap((path) => readFile(path, names))
  )
}

function readFile(file: string, names: ReadonlySet<string>): SettingRead[] {
  const source = ts.createSourceFile(
    file,
    readFileSync(join(repository, file), 'utf8'),
    ts.ScriptTarget.Latest,
    true,
    ts.ScriptKind.TS,
  )
  return readSource(source, names)
}

/** The same of one parsed file. */
export function readSource(source: ts.SourceFile, names: ReadonlySet<string>): SettingRead[] {
  const reads: SettingRead[] = []
  const note = (node: ts.Node, name: string, owner: string) => {
    const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1
    reads.push({ file: source.fileName, line, name, owner, ...whenRead(node) })
  }
  const walk = (node: ts.Node): void => {
    if (ts.isPropertyAccessExpression(node) && names.has(node.name.text) && !isWritten(node))
      note(node, node.name.text, node.expression.getText(source))
    else if (ts.isSpreadAssignment(node) && /^(config|settings)(\.\w+)?$/.test(node.expression.getText(source)))
      note(node, '...', node.expression.getText(source))
    else if (ts.isBindingElement(node) && ts.isObjectBindingPattern(node.parent)) {
      const name = (node.propertyName ?? node.name).getText(source)
      if (names.has(name)) note(node, name, ownerOf(node, source))
    }
    ts.forEachChild(node, walk)
  }
  walk(source)
  return reads
}

function isWritten(node: ts.Node): boolean {
  const { parent } = node
  return (
    ts.isBinaryExpression(parent) && parent.left === node && parent.operatorToken.kind === ts.SyntaxKind.EqualsToken
  )
}

function ownerOf(node: ts.Node, source: ts.SourceFile): string {
  let at: ts.Node = node
  while (!ts.isVariableDeclaration(at) && !ts.isParameter(at) && at.parent !== undefined) at = at.parent
  if (ts.isVariableDeclaration(at)) return at.initializer?.getText(source) ?? ''
  return ts.isParameter(at) ? (at.type?.getText(source) ?? 'parameter') : ''
}

/** By the innermost function that does not run at once: whether it is one that makes something, and its name. */
function whenRead(node: ts.Node): { maker: string; isCopy: boolean } {
  for (let at = node.parent; at !== undefined; at = at.parent) {
    if (!ts.isFunctionLike(at) || isRunAtOnce(at)) continue
    const maker = ts.isConstructorDeclaration(at) ? 'constructor' : nameOf(at)
    const isOnce = maker === 'constructor' || maker === 'start' || (makers.test(maker) && !isInFunction(at))
    return { maker, isCopy: isOnce }
  }
  return { maker: '', isCopy: true }
}

function isInFunction(node: ts.Node): boolean {
  for (let at = node.parent; at !== undefined; at = at.parent) if (ts.isFunctionLike(at)) return true
  return false
}

function nameOf(node: ts.SignatureDeclaration): string {
  if (node.name !== undefined) return node.name.getText()
  const { parent } = node
  return ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent) ? parent.name.getText() : ''
}

function isRunAtOnce(node: ts.Node): boolean {
  let { parent } = node
  if (ts.isParenthesizedExpression(parent)) parent = parent.parent
  if (!ts.isCallExpression(parent)) return false
  if (parent.expression !== node && !parent.arguments.includes(node as ts.Expression)) return true
  return ts.isPropertyAccessExpression(parent.expression) && atOnce.test(parent.expression.name.text)
}
