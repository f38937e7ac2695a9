import Synchronization

/// Whether the API server streams lists over a watch (`sendInitialEvents`), as far as is known; shared by a process'
/// reflectors, so that only the first ones ask a server that does not.
package final class StreamingSupport: Sendable {
    private let isRefused: Mutex<Bool>

    /// - Parameter mayTry: false never asks for it.
    package init(mayTry: Bool = true) { isRefused = Mutex(!mayTry) }

    /// True until a server has refused. It is not asked again for the life of the process: list and watch always work.
    package var mayTry: Bool { isRefused.withLock { !$0 } }

    func noteRefusal() { isRefused.withLock { $0 = true } }
}
