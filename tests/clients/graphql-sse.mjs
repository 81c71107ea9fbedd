// npm `graphql-sse`: everything as server-sent events, one connection an operation.
import { createClient } from 'graphql-sse'
import { failed, play } from './scenario.mjs'
import { Token, pause, tellingFetch, url } from './session.mjs'

const token = new Token()
const client = createClient({
  url,
  headers: () => token.headers(),
  retryAttempts: Infinity,
  retry: pause,
  async fetchFn(input, init) {
    const response = await tellingFetch(input, init)
    if (response.status === 401) token.forget()
    return response
  },
})

const once = async (query, variables) => {
  for await (const { data, errors } of client.iterate({ query, variables })) {
    if (errors) throw new AggregateError(errors)
    return data
  }
}

await play({
  query: once,
  mutate: once,
  subscribe(query, variables, next) {
    // The client sends this same request again when it comes back.
    const request = { query, variables }
    return client.subscribe(request, {
      next({ data, errors }) {
        if (errors) return failed(errors)
        request.variables = { ...request.variables, after: data.events.cursor }
        next(data)
      },
      error: failed,
      complete: failed,
    })
  },
  end: () => client.dispose(),
  summary: () => ({ signIns: token.signIns }),
})
