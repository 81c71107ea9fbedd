// Rules for the published schema: all that @graphql-eslint recommends, and Relay's. What is off has its reason beside it.
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const plugin = require('@graphql-eslint/eslint-plugin')
const graphql = plugin.default ?? plugin
const schema = process.env.VOICE_SCHEMA

export default [
  {
    files: ['**/*.graphql'],
    languageOptions: {
      parser: graphql.parser,
      parserOptions: { graphQLConfig: { schema, documents: [] } },
    },
    plugins: { '@graphql-eslint': graphql },
    rules: {
      ...graphql.configs['flat/schema-recommended'].rules,
      ...graphql.configs['flat/schema-relay'].rules,
      // `callId`, `agentId`, `userId` and `leg` are words of the domain, and the same in events and commands.
      '@graphql-eslint/no-typename-prefix': 'off',
      // Lists that are not paged, such as the legs of a call, are no connections.
      '@graphql-eslint/relay-edge-types': ['error', { withEdgeSuffix: true, shouldImplementNode: false, listTypeCanWrapOnlyEdgeType: false }],
      // Payloads, parts of an entity and connections have no identity. What has one implements Node, which asks for `id`.
      '@graphql-eslint/strict-id-in-types': 'off',
      // Takes the directive `specifiedBy` of the language for unreachable; unused types are found by graphql-schema-linter.
      '@graphql-eslint/no-unreachable-types': 'off',
    },
  },
]
