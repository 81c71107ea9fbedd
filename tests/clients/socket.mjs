// A `graphql-ws` client that comes back: with a new token when the old one is refused, and after the last cursor.
import WebSocket from 'ws'
import { Token, pause, say, socketUrl } from './session.mjs'

export function resumingSocket(createClient) {
  const token = new Token()
  const socket = createClient({
    url: socketUrl,
    webSocketImpl: WebSocket,
    connectionParams: () => token.headers(),
    retryAttempts: Infinity,
    retryWait: pause,
    shouldRetry: () => true,
    on: {
      closed: ({ code }) => {
        say({ closed: code })
        if (code === 4403) token.forget()
      },
    },
  })
  const subscribe = (payload, sink) =>
    socket.subscribe(payload, {
      ...sink,
      next(result) {
        const cursor = Object.values(result.data ?? {})[0]?.cursor
        // The client sends this same payload again when it comes back.
        if (cursor) payload.variables = { ...payload.variables, after: cursor }
        sink.next(result)
      },
    })
  return { socket: { ...socket, subscribe }, token }
}
