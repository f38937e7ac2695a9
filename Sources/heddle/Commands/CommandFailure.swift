import Foundation

/// Why a command ends without having done its work: one sentence for the person at the terminal.
struct CommandFailure: Error, LocalizedError, Hashable, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }

    var errorDescription: String? { description }
}
