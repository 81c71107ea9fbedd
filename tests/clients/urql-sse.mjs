// npm `@urql/core` with subscriptions as server-sent events over plain fetch. A stream that ends is no end to it: the next
// one goes on after the last cursor.
import { failed, play } from './scenario.mjs'
import { pause, say, tellingFetch } from './session.mjs'
import { urqlClient } from './urql-client.mjs'

const { client, token, query, mutate } = urqlClient({ fetchSubscriptions: true, fetch: tellingFetch })

function subscribe(document, variables, next) {
  let running = true
  let subscription
  const begin = () => {
    const source = client.subscription(document, variables)
    subscription = source.subscribe(({ data, error, hasNext }) => {
      if (error && !error.networkError) return failed(error)
      const cursor = data?.events.cursor
      if (cursor && cursor !== variables.after) {
        variables = { ...variables, after: cursor }
        next(data)
      }
      if (!hasNext && running) {
        say({ streamEnded: String(error ?? 'no more') })
        subscription?.unsubscribe()
        pause().then(() => running && begin())
      }
    })
  }
  begin()
  return () => {
    running = false
    subscription.unsubscribe()
  }
}

await play({ query, mutate, subscribe, end: () => {}, summary: () => ({ signIns: token.signIns }) })
