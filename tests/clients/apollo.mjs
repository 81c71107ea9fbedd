// npm `@apollo/client`: queries and commands by HttpLink, subscriptions by GraphQLWsLink.
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from '@apollo/client'
import { CombinedGraphQLErrors } from '@apollo/client/errors'
import { SetContextLink } from '@apollo/client/link/context'
import { ErrorLink } from '@apollo/client/link/error'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { OperationTypeNode } from 'graphql'
import { createClient } from 'graphql-ws'
import { failed, play } from './scenario.mjs'
import { Token, isUnauthenticated, url } from './session.mjs'
import { resumingSocket } from './socket.mjs'

const token = new Token()
const { socket, token: socketToken } = resumingSocket(createClient)

const renewing = new ErrorLink(({ error, operation, forward }) => {
  if (!CombinedGraphQLErrors.is(error) || !isUnauthenticated(error.errors)) return
  token.forget()
  return forward(operation)
})
const authorized = new SetContextLink(async () => ({ headers: await token.headers() }))
const http = ApolloLink.from([renewing, authorized, new HttpLink({ uri: url })])

const client = new ApolloClient({
  cache: new InMemoryCache(),
  defaultOptions: { query: { fetchPolicy: 'network-only' } },
  link: ApolloLink.split(
    ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
    new GraphQLWsLink(socket),
    http,
  ),
})

await play({
  query: async (query, variables) => (await client.query({ query: gql(query), variables })).data,
  mutate: async (mutation, variables) => (await client.mutate({ mutation: gql(mutation), variables })).data,
  subscribe(query, variables, next) {
    const events = client.subscribe({ query: gql(query), variables, fetchPolicy: 'no-cache' })
    const subscription = events.subscribe({
      next: ({ data, error }) => (error ? failed(error) : next(data)),
      error: failed,
      complete: failed,
    })
    return () => subscription.unsubscribe()
  },
  end: () => socket.dispose(),
  summary: () => ({ signIns: token.signIns + socketToken.signIns }),
})
