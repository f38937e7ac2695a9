package import KubeCore
package import Logging
import ServiceLifecycle

/// Keeps one store equal to its scope in the cluster: takes all objects once, then watches, resuming where the last watch
/// ended.
///
/// The first state comes over the watch itself where the server streams lists, else by a list in pages. It is taken anew
/// when the server has forgotten the version (410); readers see the old state until the new one is complete, and what was
/// deleted in between is told as deleted. After failures the reflector waits with backoff, at least as long as the server
/// asks. In between it sends nothing: a store at rest costs one open watch, renewed every five to nine minutes.
package struct Reflector: Service {
    /// What a store does while the API server does not know its resource (404).
    package enum WhenNotServed: Sendable {
        /// The resource must come: readers wait for it.
        case wait
        /// The resource is optional, such as a mesh's: there are no objects until it comes.
        case countAsEmpty
    }

    package let store: Store
    private let api: any ClusterAPI
    private let whenNotServed: WhenNotServed
    private let streaming: StreamingSupport
    private let clock: AnyClock
    private let backoff: Backoff
    private let random: @Sendable () -> Double
    private let metrics: StoreMetrics
    private let logger: Logger

    package init(
        api: any ClusterAPI, store: Store, whenNotServed: WhenNotServed = .wait,
        streaming: StreamingSupport = StreamingSupport(), clock: AnyClock = .continuous,
        backoff: Backoff = .reflector, metrics: StoreMetrics? = nil, logger: Logger,
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }
    ) {
        self.api = api
        self.store = store
        self.whenNotServed = whenNotServed
        self.streaming = streaming
        self.clock = clock
        self.backoff = backoff
        self.random = random
        self.metrics = metrics ?? StoreMetrics(store: store.scope)
        var logger = logger
        logger[metadataKey: "store"] = "\(store.scope)"
        self.logger = logger
    }

    /// Runs until cancelled or shut down.
    package func run() async {
        await cancelWhenGracefulShutdown { await keepInSync() }
    }

    /// What the reflector does next.
    private enum Step {
        /// Take all objects: over a watch where that is served, else by a list.
        case begin
        /// Take all objects by a list, once: the stream failed.
        case list
        case watch(from: String)
    }

    /// Failures in a row, and how they are told.
    private struct Trouble {
        var failures = 0
        var message = ""
    }

    @concurrent
    func keepInSync() async {
        var step = Step.begin
        var trouble = Trouble()
        while !Task.isCancelled {
            do throws(APIError) {
                step = try await take(step)
                if trouble.failures > 0 { logger.info("in sync again") }
                trouble = Trouble()
            } catch {
                if Task.isCancelled { return }
                step = await recover(from: error, in: step, &trouble)
            }
        }
    }

    private func take(_ step: Step) async throws(APIError) -> Step {
        switch step {
        case .begin where streaming.mayTry: return try await stream()
        case .begin, .list:
            let list = try await api.list(
                store.scope.resource, namespace: store.scope.namespace, labels: store.scope.labels,
                fields: store.scope.fields, keeping: store.selection)
            store.replace(with: list.items)
            metrics.listed(count: store.count)
            logger.debug("listed", metadata: ["objects": "\(list.items.count)"])
            return .watch(from: list.resourceVersion)
        case .watch(let version):
            let outcome = await watch(.version(version))
            let seen = outcome.version ?? version
            if let error = outcome.error {
                // What was applied must not be asked for again, except after 410, which starts anew.
                if error.isExpired || seen == version { throw error }
                logger.debug("watch failed after progress", metadata: ["error": "\(error)"])
            }
            // A server that ends each watch at once must not make this loop spin.
            if outcome.error != nil || !(outcome.lasted || seen != version) {
                await pause(.seconds(1) * (1 + random()))
            }
            return .watch(from: seen)
        }
    }

    /// Takes all objects and then their changes over one watch.
    private func stream() async throws(APIError) -> Step {
        let outcome = await watch(.initialEvents)
        guard let version = outcome.version else {
            if outcome.isUnmarked || outcome.error?.refusesInitialEvents == true {
                streaming.noteRefusal()
                logger.debug("the server does not stream lists", metadata: ["error": "\(outcome.error as Any)"])
                return .list
            }
            throw outcome.error
                ?? APIError(code: 0, reason: "InvalidAnswer", message: "the watch ended before its first state was in")
        }
        if let error = outcome.error, error.isExpired { throw error }
        return .watch(from: version)
    }

    /// Decides how to go on after a failure, and waits as long as it asks for.
    private func recover(from error: APIError, in step: Step, _ trouble: inout Trouble) async -> Step {
        var next = step
        metrics.failed()
        switch error.code {
        case 410:
            next = .begin
            logger.info("the server has forgotten this version; beginning anew")
            // The first 410 is routine; a row of them is a fault.
            if trouble.failures == 0 {
                trouble.failures += 1
                return next
            }
        case 404:
            next = .begin
            store.markNotServed(countsAsSynced: whenNotServed == .countAsEmpty)
            // Kinds come with their CRDs, and seldom.
            trouble.failures = max(trouble.failures, 6)
        default:
            switch step {
            case .begin, .list: next = .list
            // An event broken on the way may be broken in the server's cache too.
            case .watch: if error.reason == "InvalidAnswer" { next = .list }
            }
        }
        var delay = backoff.delay(attempt: trouble.failures, random: random())
        if let asked = error.retryAfterSeconds { delay = max(delay, .seconds(asked) * (1 + 0.1 * random())) }
        if error.description != trouble.message {
            let isExpected = error.isNotFound && whenNotServed == .countAsEmpty
            logger.log(
                level: isExpected ? .debug : .warning, "list or watch failed",
                metadata: ["error": "\(error)", "retryIn": "\(delay)"])
            trouble.message = error.description
        }
        trouble.failures += 1
        await pause(delay)
        return next
    }

    private func watch(_ start: APIRequest.WatchStart) async -> WatchSession.Outcome {
        // Spread, so that the watches of all replicas do not come back together.
        let seconds = 300 + Int(random() * 240)
        var request = APIRequest.watch(
            store.scope.resource, namespace: store.scope.namespace, labels: store.scope.labels,
            fields: store.scope.fields, from: start, seconds: seconds)
        request.keeping = store.selection
        metrics.watched()
        return await WatchSession(store: store, clock: clock, metrics: metrics).run(
            request, start: start, on: api, expectedSeconds: seconds)
    }

    private func pause(_ duration: Duration) async { try? await clock.sleep(for: duration) }
}
