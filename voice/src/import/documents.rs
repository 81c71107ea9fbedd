//! The GraphQL documents of the importer. An installation that executes trusted documents alone trusts these as well.

/// Signs in.
pub(super) const SIGN_IN: &str = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }";
/// Whether there is a call, by the log.
pub(super) const KNOWS: &str = "query ($id: UUID!) { callHistory(callId: $id, first: 1) { edges { cursor } } }";
/// What is still being spoken.
pub(super) const INTERIM: &str = "mutation ($input: PublishInterimInput!) { publishInterimTranscript(input: $input) }";

/// Every command that the importer gives, with the type of its input.
const COMMANDS: [(&str, &str); 12] = [
    ("addTranscriptSegment", "AddTranscriptSegmentInput"),
    ("answerCall", "AnswerCallInput"),
    ("changePresence", "ChangePresenceInput"),
    ("completeWrapUp", "CompleteWrapUpInput"),
    ("endCall", "EndCallInput"),
    ("initiateCall", "InitiateCallInput"),
    ("offerCall", "OfferCallInput"),
    ("queueCall", "QueueCallInput"),
    ("registerAgent", "RegisterAgentInput"),
    ("signInAgent", "SignInAgentInput"),
    ("signOutAgent", "SignOutAgentInput"),
    ("startRecording", "StartRecordingInput"),
];

/// The document of a command.
pub(super) fn command(mutation: &str, input_type: &str) -> String {
    debug_assert!(COMMANDS.contains(&(mutation, input_type)), "{mutation} is not among the trusted documents");
    format!(
        "mutation ($input: {input_type}!) {{ {mutation}(input: $input) {{ __typename
           ... on CommandAccepted {{ alreadyApplied }} ... on CommandRefused {{ rule }} }} }}"
    )
}

/// All of them, with names for messages.
pub(crate) fn all() -> Vec<(String, String)> {
    let commands =
        COMMANDS.map(|(mutation, input_type)| (format!("voice import: {mutation}"), command(mutation, input_type)));
    let others = [("signing in", SIGN_IN), ("callHistory", KNOWS), ("publishInterimTranscript", INTERIM)];
    let others = others.map(|(name, text)| (format!("voice import: {name}"), text.to_owned()));
    commands.into_iter().chain(others).collect()
}
