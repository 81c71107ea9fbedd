// npm `@apollo/client` with subscriptions as multipart answers over plain fetch. An answer that ends is no end to it: the
// next one goes on after the last cursor.
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from '@apollo/client'
import { CombinedGraphQLErrors, CombinedProtocolErrors } from '@apollo/client/errors'
import { SetContextLink } from '@apollo/client/link/context'
import { ErrorLink } from '@apollo/client/link/error'
import { failed, play } from './scenario.mjs'
import { Token, isUnauthenticated, pause, say, url } from './session.mjs'

const token = new Token()
const renewing = new ErrorLink(({ error, operation, forward }) => {
  if (!CombinedGraphQLErrors.is(error) || !isUnauthenticated(error.errors)) return
  token.forget()
  return forward(operation)
})
const authorized = new SetContextLink(async () => ({ headers: await token.headers() }))
const client = new ApolloClient({
  cache: new InMemoryCache(),
  defaultOptions: { query: { fetchPolicy: 'network-only' } },
  link: ApolloLink.from([renewing, authorized, new HttpLink({ uri: url })]),
})

function subscribe(query, variables, next) {
  let running = true
  let subscription
  const begin = () => {
    let over = false
    const again = error => {
      if (over || !running) return
      over = true
      if (CombinedGraphQLErrors.is(error)) return failed(error)
      if (CombinedProtocolErrors.is(error)) {
        const [{ extensions }] = error.errors
        say({ transport: extensions.code })
        if (isUnauthenticated(error.errors)) token.forget()
      }
      subscription?.unsubscribe()
      pause().then(() => running && begin())
    }
    const events = client.subscribe({ query: gql(query), variables, fetchPolicy: 'no-cache' })
    subscription = events.subscribe({
      next({ data, error }) {
        if (error) return again(error)
        variables = { ...variables, after: data.events.cursor }
        next(data)
      },
      error: again,
      complete: again,
    })
  }
  begin()
  return () => {
    running = false
    subscription.unsubscribe()
  }
}

await play({
  query: async (query, variables) => (await client.query({ query: gql(query), variables })).data,
  mutate: async (mutation, variables) => (await client.mutate({ mutation: gql(mutation), variables })).data,
  subscribe,
  end: () => client.stop(),
  summary: () => ({ signIns: token.signIns }),
})
