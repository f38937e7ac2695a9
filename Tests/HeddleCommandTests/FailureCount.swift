import Synchronization

/// How many more requests a test lets fail.
final class FailureCount: Sendable {
    private let count: Mutex<Int>

    init(_ count: Int) { self.count = Mutex(count) }

    var left: Int { count.withLock { $0 } }

    func takeOne() -> Bool {
        count.withLock { count in
            guard count > 0 else { return false }
            count -= 1
            return true
        }
    }
}
