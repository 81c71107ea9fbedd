// npm `@urql/core`, which npm `urql` gives to React: queries and commands by fetch, with `@urql/exchange-auth`.
import { Client, fetchExchange } from '@urql/core'
import { authExchange } from '@urql/exchange-auth'
import { Token, isUnauthenticated, url } from './session.mjs'

export function urqlClient({ exchanges = [], ...options }) {
  const token = new Token()
  const renewing = authExchange(async ({ appendHeaders }) => {
    let headers = await token.headers()
    return {
      addAuthToOperation: operation => appendHeaders(operation, headers),
      didAuthError: error => isUnauthenticated(error.graphQLErrors),
      async refreshAuth() {
        token.forget()
        headers = await token.headers()
      },
    }
  })
  const client = new Client({
    url,
    preferGetMethod: false,
    requestPolicy: 'network-only',
    exchanges: [renewing, ...exchanges, fetchExchange],
    ...options,
  })
  const once = async result => {
    const { data, error } = await result.toPromise()
    if (error) throw error
    return data
  }
  return {
    client,
    token,
    query: (query, variables) => once(client.query(query, variables)),
    mutate: (query, variables) => once(client.mutation(query, variables)),
  }
}
