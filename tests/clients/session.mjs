// What every script here stands on: where the server is, who signs in, how it tells what it has seen.

/** GraphQL over HTTP, through a proxy that the test may cut. */
export const url = process.env.VOICE_URL
/** The same over a WebSocket. */
export const socketUrl = url.replace(/^http/, 'ws')
/** The call that the script makes and watches. */
export const callId = process.env.VOICE_CALL

const LOGIN = 'mutation ($input: LoginInput!) { login(input: $input) { accessToken } }'

/** Waits between two tries to come back. Short, because a test waits as well. */
export const pause = () => new Promise(resolve => setTimeout(resolve, 50))

/** Tells the test something, as a line of JSON. */
export const say = line => console.log(JSON.stringify(line))

/** `fetch` that tells of a token that is refused. */
export async function tellingFetch(input, init) {
  const response = await fetch(input, init)
  if (response.status === 401) say({ refused: 401 })
  return response
}

/** A token that is kept until it is forgotten; the next one comes from a new sign-in. */
export class Token {
  #text
  signIns = 0

  async headers() {
    this.#text ??= this.#signIn()
    return { authorization: `Bearer ${await this.#text}` }
  }

  forget() {
    this.#text = undefined
  }

  async #signIn() {
    this.signIns += 1
    const input = { email: process.env.VOICE_EMAIL, password: process.env.VOICE_PASSWORD }
    const body = JSON.stringify({ query: LOGIN, variables: { input } })
    for (;;) {
      try {
        const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
        return (await response.json()).data.login.accessToken
      } catch (error) {
        // The line may be cut here too.
        if (!(error instanceof TypeError)) throw error
        await pause()
      }
    }
  }
}

/** Whether errors of an answer say that the token is no longer good. */
export const isUnauthenticated = errors => !!errors?.some(error => error.extensions?.code === 'UNAUTHENTICATED')
