package import KubeRuntime
import ServiceLifecycle

/// Wakes controllers when the proxies that are connected have changed: they are in no store. It compares a few numbers in
/// memory every `period`, and asks the API server for nothing.
package struct ProxyWatch: Service {
    private let proxies: ProxyView
    private let period: Duration
    private let clock: AnyClock
    private let wake: @Sendable () -> Void

    /// - Parameters:
    ///   - period: between two looks; changes that come faster are one.
    ///   - wake: called after a change, e.g. `Controller.enqueue` for every object of a store.
    package init(
        _ proxies: ProxyView, period: Duration = .seconds(1), clock: AnyClock = .continuous,
        wake: @escaping @Sendable () -> Void
    ) {
        self.proxies = proxies
        self.period = period
        self.clock = clock
        self.wake = wake
    }

    /// Runs until cancelled or shut down.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            var known = proxies.fingerprint()
            while !Task.isCancelled {
                try? await clock.sleep(for: period)
                let now = proxies.fingerprint()
                if now != known, !Task.isCancelled { wake() }
                known = now
            }
        }
    }
}
