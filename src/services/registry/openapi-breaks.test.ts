import { describe, expect, test } from 'vitest'
import { findBreaks, mostBreaks } from './openapi-breaks.ts'

type Document = { openapi: string; paths: Record<string, Record<string, object>>; components?: object }

const item = { type: 'object', required: ['name'], properties: { name: { type: 'string' }, price: { type: 'number' } } }

/** One operation that has a bit of everything. */
function documentOf(operation: object = {}, more: object = {}): Document {
  return {
    openapi: '3.1.0',
    paths: {
      '/items/{id}': {
        get: {
          parameters: [{ name: 'limit', in: 'query', schema: { type: 'integer' } }],
          requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Item' } } } },
          responses: {
            200: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Item' } } } },
            404: { description: 'none' },
          },
          ...operation,
        },
      },
    },
    components: { schemas: { Item: item } },
    ...more,
  }
}

const parameters = (...all: object[]) => ({ parameters: all })
const body = (schema: object, more: object = {}) => ({
  requestBody: { content: { 'application/json': { schema } }, ...more },
})
const answer = (schema: object) => ({ responses: { 200: { content: { 'application/json': { schema } } }, 404: {} } })

describe('what breaks callers is found', () => {
  test.each<[string, object, string[]]>([
    ['a removed path', { openapi: '3.1.0', paths: {} }, ['/items/{id} was removed']],
    ['a removed method', { openapi: '3.1.0', paths: { '/items/{id}': {} } }, ['GET /items/{id} was removed']],
    [
      'a new required parameter',
      documentOf(parameters({ name: 'limit', in: 'query' }, { name: 'q', in: 'query', required: true })),
      ['GET /items/{id}: the parameter q (query) is new and required'],
    ],
    [
      'a parameter that became required',
      documentOf(parameters({ name: 'limit', in: 'query', required: true })),
      ['GET /items/{id}: the parameter limit (query) is now required'],
    ],
    [
      'a parameter of another type',
      documentOf(parameters({ name: 'limit', in: 'query', schema: { type: 'boolean' } })),
      ['GET /items/{id}: the parameter limit (query): the type is boolean, it was integer'],
    ],
    [
      'a parameter with fewer values',
      documentOf(parameters({ name: 'limit', in: 'query', schema: { type: 'integer', enum: [1] } })),
      ['GET /items/{id}: the parameter limit (query): only certain values are taken now'],
    ],
    [
      'a new required property of the body',
      documentOf(body({ ...item, required: ['name', 'colour'] })),
      ['GET /items/{id}: the body: the property colour is new and required'],
    ],
    [
      'a body that became required',
      documentOf(body(item, { required: true })),
      ['GET /items/{id}: a body is now required'],
    ],
    [
      'a removed response',
      documentOf({ responses: { 200: { content: { 'application/json': { schema: item } } } } }),
      ['GET /items/{id}: the response 404 was removed'],
    ],
    [
      'a removed property of an answer, and one that may be missing',
      documentOf(answer({ type: 'object', properties: { name: { type: 'string' } } })),
      [
        'GET /items/{id}: the response 200: the property name may now be missing',
        'GET /items/{id}: the response 200: the property price was removed',
      ],
    ],
    [
      'an answer of a wider type',
      documentOf(answer({ ...item, properties: { ...item.properties, price: { type: ['number', 'null'] } } })),
      ['GET /items/{id}: the response 200: the property price: the type is number or null, it was number'],
    ],
    [
      'another content type',
      documentOf({ responses: { 200: { content: { 'text/csv': {} } }, 404: {} } }),
      ['GET /items/{id}: the response 200 is no longer application/json'],
    ],
  ])('%s', (_what, after, breaks) => {
    expect(findBreaks(documentOf(), after)).toEqual(breaks)
  })

  test('a narrowed enum of what goes in, a widened one of what comes out', () => {
    const before = documentOf({ ...body({ enum: ['a', 'b'] }), ...answer({ enum: ['a', 'b'] }) })
    const after = documentOf({ ...body({ enum: ['a'] }), ...answer({ enum: ['a', 'b', 'c'] }) })
    expect(findBreaks(before, after)).toEqual([
      'GET /items/{id}: the body: no longer takes b',
      'GET /items/{id}: the response 200: may now be c',
    ])
  })
})

describe('what breaks nobody is not told', () => {
  test.each<[string, object]>([
    ['the same document', documentOf()],
    [
      'a path parameter by another name',
      { ...documentOf(), paths: { '/items/{item_id}': documentOf().paths['/items/{id}']! } },
    ],
    ['a new path', { ...documentOf(), paths: { ...documentOf().paths, '/new': { get: {} } } }],
    ['a new optional parameter', documentOf(parameters({ name: 'limit', in: 'query' }, { name: 'q', in: 'query' }))],
    ['a removed optional parameter', documentOf({ parameters: [] })],
    ['a parameter that takes more', documentOf(parameters({ name: 'limit', in: 'query', schema: { type: 'number' } }))],
    ['a body that demands less', documentOf(body({ ...item, required: [] }))],
    ['an answer that says more', documentOf(answer({ ...item, properties: { ...item.properties, extra: {} } }))],
    ['a schema written out', documentOf({ ...body(item), ...answer(item) })],
  ])('%s', (_what, after) => {
    expect(findBreaks(documentOf(), after)).toEqual([])
  })
})

describe('no document can hurt', () => {
  test.each<[string, unknown]>([
    ['null', null],
    ['a text', 'openapi'],
    ['paths that are none', { paths: [1, 2] }],
    ['references in a circle', { paths: { '/a': { $ref: '#/paths/~1a' } } }],
    ['a reference into a prototype', { paths: { '/a': { $ref: '#/constructor/prototype' } } }],
  ])('%s', (_what, document) => {
    expect(() => findBreaks(document, documentOf())).not.toThrow()
    expect(() => findBreaks(documentOf(), document)).not.toThrow()
  })

  test('a schema that holds itself ends, and so does a document with very many breaks', () => {
    const node = { type: 'object', properties: { next: { $ref: '#/components/schemas/Node' } } }
    const circular = documentOf(body({ $ref: '#/components/schemas/Node' }), {
      components: { schemas: { Node: node } },
    })
    expect(findBreaks(circular, circular)).toEqual([])
    const paths = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`/p${i}`, { get: {} }]))
    expect(findBreaks({ paths }, { paths: {} })).toHaveLength(mostBreaks)
  })
})
