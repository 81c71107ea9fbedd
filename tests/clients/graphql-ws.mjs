// npm `graphql-ws`: everything over one WebSocket.
import { createClient } from 'graphql-ws'
import { failed, play } from './scenario.mjs'
import { resumingSocket } from './socket.mjs'

const { socket, token } = resumingSocket(createClient)

const once = (query, variables) =>
  new Promise((resolve, reject) => {
    let result
    socket.subscribe(
      { query, variables },
      {
        next: value => (result = value),
        error: reject,
        complete: () => (result.errors ? reject(result.errors) : resolve(result.data)),
      },
    )
  })

await play({
  query: once,
  mutate: once,
  subscribe: (query, variables, next) =>
    socket.subscribe({ query, variables }, { next: result => next(result.data), error: failed, complete: failed }),
  end: () => socket.dispose(),
  summary: () => ({ signIns: token.signIns }),
})
