/// What became of a request, by the response code and flags that the proxy gave it.
package enum RequestOutcome: Sendable, Hashable {
    case success
    /// A 5xx of the application.
    case serverError
    /// The proxy did not get an answer: connection refused, reset or timed out, or no healthy endpoint.
    case connectionFailure
    /// The client went away first: nobody's failure.
    case abandoned

    /// Envoy's response flags for an answer that never came: connection failure, termination, overflow, no healthy
    /// upstream, resets, no route or cluster, and the timeouts.
    package static let connectionFlags: Set<String> = [
        "UF", "UC", "UH", "UO", "UR", "LR", "UPE", "NC", "NR", "UT", "URX",
    ]
    /// The part of them that says that the two sides could not talk, as a refused plaintext connection does.
    package static let refusedFlags: Set<String> = ["UF", "UC", "UR", "UH"]

    package init(code: String, flags: String) {
        let flags = Set(flags.split(separator: ",").map(String.init))
        if !flags.isDisjoint(with: Self.connectionFlags) {
            self = .connectionFailure
        } else if code.count == 3, code.hasPrefix("5") {
            self = .serverError
        } else if code == "0" || code.isEmpty {
            self = flags.contains("DC") || flags.contains("DR") ? .abandoned : .connectionFailure
        } else {
            self = .success
        }
    }

    package var isFailure: Bool { self == .serverError || self == .connectionFailure }
}
