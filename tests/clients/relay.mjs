// npm `relay-runtime`: a network layer of fetch and `graphql-ws`, with artefacts that relay-compiler has made. Where it was told
// to make a manifest of persisted documents, artefacts have an id and no text.
import { createClient } from 'graphql-ws'
import { createRequire } from 'node:module'
import { failed, play } from './scenario.mjs'
import { Token, isUnauthenticated, url } from './session.mjs'
import { resumingSocket } from './socket.mjs'

const require = createRequire(import.meta.url)
const relay = require('relay-runtime')
const artefact = name => require(`${process.env.VOICE_ARTEFACTS}/${name}.graphql.js`)
const VIEWER = artefact('documentsViewerQuery')
const EVENTS = artefact('documentsEventsSubscription')
const MUTATIONS = {
  Initiate: artefact('documentsInitiateMutation'),
  AddSegment: artefact('documentsAddSegmentMutation'),
}

const token = new Token()
const { socket, token: socketToken } = resumingSocket(createClient)

/** What is asked: a trusted document by its id, or a text. `graphql-ws` insists on a text, which may be empty. */
const asked = ({ id, text }) => (id ? { documentId: id, query: '' } : { query: text })

async function fetchGraphQL(request, variables) {
  const headers = { 'content-type': 'application/json', ...(await token.headers()) }
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ ...asked(request), variables }) })
  const result = await response.json()
  if (!isUnauthenticated(result.errors)) return result
  token.forget()
  return fetchGraphQL(request, variables)
}
const subscribe = (request, variables) =>
  relay.Observable.create(sink =>
    socket.subscribe({ ...asked(request), operationName: request.name, variables }, sink),
  )

const environment = new relay.Environment({
  network: relay.Network.create(fetchGraphQL, subscribe),
  store: new relay.Store(new relay.RecordSource()),
})

await play({
  query: (_, variables) => relay.fetchQuery(environment, VIEWER, variables).toPromise(),
  mutate: (document, variables) =>
    new Promise((resolve, reject) => {
      const mutation = MUTATIONS[/^mutation (\w+)/.exec(document)[1]]
      const onCompleted = (data, errors) => (errors ? reject(errors) : resolve(data))
      relay.commitMutation(environment, { mutation, variables, onCompleted, onError: reject })
    }),
  subscribe(_, variables, next) {
    const config = { subscription: EVENTS, variables, onNext: next, onError: failed, onCompleted: failed }
    const { dispose } = relay.requestSubscription(environment, config)
    return dispose
  },
  end: () => socket.dispose(),
  summary: () => ({ signIns: token.signIns + socketToken.signIns }),
})
