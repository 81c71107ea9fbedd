// What every client is put through. A client brings:
//
//   query(document, variables), mutate(document, variables)   a promise of the data
//   subscribe(document, variables, next)                      calls `next` with the data of each payload, and goes on
//                                                             after the last cursor wherever the line is cut; returns
//                                                             a function that ends the subscription
//   end()                                                     closes what is open
//   summary()                                                 what else the test wants to know
//
// The test cuts the line, revokes the token and appends events meanwhile. It says `again` on standard input for one more
// query and command, and `end`.
import { createInterface } from 'node:readline'
import { randomUUID } from 'node:crypto'
import { callId, say } from './session.mjs'

export const VIEWER = 'query Viewer { viewer { userId role } }'
export const INITIATE = `mutation Initiate($input: InitiateCallInput!) {
  initiateCall(input: $input) { __typename ... on CommandAccepted { commandId position alreadyApplied } }
}`
export const ADD_SEGMENT = `mutation AddSegment($input: AddTranscriptSegmentInput!) {
  addTranscriptSegment(input: $input) { __typename ... on CommandAccepted { commandId position alreadyApplied } }
}`
export const EVENTS = `subscription Events($subjectId: UUID!, $types: [String!], $after: String) {
  events(subjectId: $subjectId, types: $types, after: $after, fromStart: true) { cursor event { position type version } }
}`

/** What the test's commands append; other events of the call come from reactions, in their own time. */
const TYPES = ['call.initiated', 'transcript.segment_added']

/** Variables of the subscription, from a cursor on. */
export const from = after => ({ subjectId: callId, types: TYPES, after })

let playing = true

/** A subscription that ends, or fails, while nobody has ended it. */
export function failed(error) {
  if (!playing) return
  console.error('the subscription is over', error)
  process.exit(1)
}

export async function play({ query, mutate, subscribe, end, summary = () => ({}) }) {
  const stop = subscribe(EVENTS, from(null), data => say({ event: data.events.event }))

  const ask = async () => {
    const { userId, role } = (await query(VIEWER, {})).viewer
    say({ viewer: { userId, role } })
  }
  // Twice under one id: the second one changes nothing and is answered like the first.
  const command = async (name, document, input) => {
    const variables = { input: { callId, commandId: randomUUID(), ...input } }
    for (let time = 0; time < 2; time += 1) say({ command: (await mutate(document, variables))[name] })
  }

  await ask()
  const numbers = { direction: 'INBOUND', from: '+14155552671', to: '+14155550100' }
  await command('initiateCall', INITIATE, numbers)
  for await (const word of createInterface({ input: process.stdin })) {
    if (word === 'end') break
    await ask()
    const words = { speaker: 'AGENT', beginMs: 0, endMs: 500, text: 'Still there?', model: 'm' }
    await command('addTranscriptSegment', ADD_SEGMENT, words)
  }
  playing = false
  stop()
  await end()
  say({ summary: await summary() })
}
