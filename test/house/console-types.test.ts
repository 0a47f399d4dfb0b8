import { expect, test } from 'vitest'
import { type Document, renderOperations } from './pages/console-types.ts'

const document: Document = {
  paths: {
    '/api/things/{id}': {
      get: {
        parameters: [
          { name: 'id', in: 'path', required: true, schema: { type: 'string' } },
          { name: 'limit', in: 'query', schema: { type: 'integer' } },
        ],
        responses: {
          default: { content: {} },
          '200': {
            content: {
              'application/json': {
                schema: {
                  type: 'object',
                  properties: {
                    state: { enum: ['a', "it's"] },
                    names: { type: 'array', items: { anyOf: [{ type: 'string' }, { type: 'null' }] } },
                    more: { type: 'object', additionalProperties: { type: 'number' } },
                  },
                  required: ['state'],
                },
              },
            },
          },
        },
      },
    },
  },
}

test('the types of the console are those of the OpenAPI document', () => {
  expect(
    renderOperations(document, ['GET /api/things/{id}']),
  ).toBe(`/** Generated from the OpenAPI document by \`npm run docs\`: what \`ask\` of api.ts may be asked, and what is answered. */
export type Operations = {
  'GET /api/things/{id}': {
    path: {
      id: string
    }
    query?: {
      limit?: number
    }
    reply: {
      state: 'a' | 'it\\'s'
      names?: (string | null)[]
      more?: Record<string, number>
    }
  }
}
`)
})

test('an operation that the document has not is named, and nothing is written', () => {
  expect(() => renderOperations(document, ['GET /api/nothing'])).toThrow("The console asks 'GET /api/nothing'")
})
