// Every audit of npm `graphql-http` (GraphQL over HTTP), with a token and without.
import { auditServer } from 'graphql-http'
import { Token, say, url } from './session.mjs'

const token = new Token()
const withToken = async (input, init) =>
  fetch(input, { ...init, headers: { ...init?.headers, ...(await token.headers()) } })

for (const [who, fetchFn] of [['somebody', withToken], ['nobody', fetch]]) {
  const results = await auditServer({ url, fetchFn })
  for (const { id, name, status, reason } of results) {
    if (status !== 'ok') say({ failed: { who, id, name, status, reason: String(reason) } })
  }
  say({ audits: { who, ok: results.filter(result => result.status === 'ok').length, all: results.length } })
}
