import Dispatch

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Delivers SIGTERM and SIGINT as calls, instead of ending the process.
struct TerminationSignal {
    private let sources: [any DispatchSourceSignal]

    /// Calls `onSignal` with 1 at the first signal, 2 at the second, and so on, on a queue of its own.
    init(_ onSignal: @escaping @Sendable (Int) -> Void) {
        let queue = DispatchQueue(label: "termination")
        let counter = Counter()
        sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { onSignal(counter.next()) }
            source.resume()
            return source
        }
    }

    func cancel() {
        for source in sources { source.cancel() }
    }

    /// Only touched from the serial queue above, which is why it may be shared unchecked.
    private final class Counter: @unchecked Sendable {
        private var value = 0
        func next() -> Int {
            value += 1
            return value
        }
    }
}
