// npm `@urql/core` with subscriptions over a WebSocket, by `subscriptionExchange` and `graphql-ws`.
import { subscriptionExchange } from '@urql/core'
import { createClient } from 'graphql-ws'
import { failed, play } from './scenario.mjs'
import { resumingSocket } from './socket.mjs'
import { urqlClient } from './urql-client.mjs'

const { socket, token: socketToken } = resumingSocket(createClient)
const forwardSubscription = request => ({
  subscribe: sink => ({ unsubscribe: socket.subscribe({ ...request, query: request.query ?? '' }, sink) }),
})
const { client, token, query, mutate } = urqlClient({ exchanges: [subscriptionExchange({ forwardSubscription })] })

await play({
  query,
  mutate,
  subscribe: (document, variables, next) =>
    client.subscription(document, variables).subscribe(({ data, error }) => (error ? failed(error) : next(data)))
      .unsubscribe,
  end: () => socket.dispose(),
  summary: () => ({ signIns: token.signIns + socketToken.signIns }),
})
