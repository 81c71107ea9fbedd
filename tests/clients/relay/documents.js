// What relay-compiler makes artefacts of; relay.mjs runs them.
import { graphql } from 'relay-runtime'

graphql`
  query documentsViewerQuery {
    viewer {
      userId
      role
    }
  }
`
graphql`
  mutation documentsInitiateMutation($input: InitiateCallInput!) {
    initiateCall(input: $input) {
      __typename
      ... on CommandAccepted {
        commandId
        position
        alreadyApplied
      }
    }
  }
`
graphql`
  mutation documentsAddSegmentMutation($input: AddTranscriptSegmentInput!) {
    addTranscriptSegment(input: $input) {
      __typename
      ... on CommandAccepted {
        commandId
        position
        alreadyApplied
      }
    }
  }
`
graphql`
  subscription documentsEventsSubscription($subjectId: UUID!, $types: [String!], $after: String) {
    events(subjectId: $subjectId, types: $types, after: $after, fromStart: true) {
      cursor
      event {
        position
        type
        version
      }
    }
  }
`
