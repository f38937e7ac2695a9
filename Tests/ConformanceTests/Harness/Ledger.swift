import Foundation
import Synchronization
import Testing

/// What ran, and what was left out for which reason.
final class Ledger: Sendable {
    private struct State {
        var tests: Set<String> = []
        var gaps: [String: Set<String>] = [:]
    }

    private let state = Mutex(State())

    /// Counts the running test.
    func count() {
        guard let test = Test.current else { return }
        state.withLock { _ = $0.tests.insert("\(test.id)") }
    }

    func leaveOut(_ what: String, because reason: String) {
        state.withLock { _ = $0.gaps["\(what): \(reason)", default: []].insert(Test.current?.name ?? "") }
    }

    /// One line with the count, and one for each gap with its tests.
    func report(on server: String) -> String {
        state.withLock { state in
            var lines = ["conformance: \(state.tests.count) tests ran on \(server)"]
            for (gap, tests) in state.gaps.sorted(by: { $0.key < $1.key }) {
                lines.append(
                    "conformance: left out \(gap) (in \(tests.count) tests: \(tests.sorted().joined(separator: "; ")))")
            }
            return lines.joined(separator: "\n") + "\n"
        }
    }
}
