package import KubeCore
package import Logging
import ServiceLifecycle

/// Keeps one store equal to its scope in the cluster: lists once, then watches, resuming where the last watch ended.
///
/// It lists again when the server has forgotten its version (410), and waits with backoff after failures. In between it
/// sends nothing: a store at rest costs one open watch.
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
    private let clock: AnyClock
    private let backoff: Backoff
    private let random: @Sendable () -> Double
    private let logger: Logger

    package init(
        api: any ClusterAPI, store: Store, whenNotServed: WhenNotServed = .wait, clock: AnyClock = .continuous,
        backoff: Backoff = .reflector, logger: Logger,
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }
    ) {
        self.api = api
        self.store = store
        self.whenNotServed = whenNotServed
        self.clock = clock
        self.backoff = backoff
        self.random = random
        var logger = logger
        logger[metadataKey: "store"] = "\(store.scope)"
        self.logger = logger
    }

    /// Runs until cancelled or shut down.
    package func run() async {
        await cancelWhenGracefulShutdown { await keepInSync() }
    }

    /// How the reflector goes on after a failure.
    private enum Next {
        case list
        case watch(from: String)
    }

    @concurrent
    func keepInSync() async {
        var next = Next.list
        var failures = 0
        var lastMessage = ""
        while !Task.isCancelled {
            do throws(APIError) {
                switch next {
                case .list:
                    let list = try await api.list(
                        store.scope.resource, namespace: store.scope.namespace, labels: store.scope.labels,
                        fields: store.scope.fields)
                    store.replace(with: list.items)
                    next = .watch(from: list.resourceVersion)
                    logger.debug("listed", metadata: ["objects": "\(list.items.count)"])
                case .watch(let version):
                    let (seen, progressed) = try await watch(from: version)
                    next = .watch(from: seen)
                    // A server that ends each watch at once must not make this loop spin.
                    if !progressed { await pause(.seconds(1) * (1 + random())) }
                }
                if failures > 0 { logger.info("in sync again") }
                failures = 0
                lastMessage = ""
            } catch {
                if Task.isCancelled { return }
                switch error.code {
                case 410:
                    next = .list
                    logger.info("the server has forgotten this version; listing again")
                    // The first 410 is routine; a row of them is a fault.
                    if failures == 0 {
                        failures += 1
                        continue
                    }
                case 404:
                    next = .list
                    store.markNotServed(countsAsSynced: whenNotServed == .countAsEmpty)
                    // Kinds come with their CRDs, and seldom.
                    failures = max(failures, 6)
                default:
                    // An event broken on the way may be broken in the server's cache too.
                    if error.reason == "InvalidAnswer" { next = .list }
                }
                let delay = backoff.delay(attempt: failures, random: random())
                if error.description != lastMessage {
                    let isExpected = error.isNotFound && whenNotServed == .countAsEmpty
                    logger.log(
                        level: isExpected ? .debug : .warning, "list or watch failed",
                        metadata: ["error": "\(error)", "retryIn": "\(delay)"])
                    lastMessage = error.description
                }
                failures += 1
                await pause(delay)
            }
        }
    }

    /// Watches until the server ends it.
    /// - Returns: the last version seen, and whether the watch brought anything or lasted.
    private func watch(from version: String) async throws(APIError) -> (version: String, progressed: Bool) {
        var query = [
            "resourceVersion": version, "allowWatchBookmarks": "true",
            // Spread, so that the watches of all replicas do not come back together.
            "timeoutSeconds": String(300 + Int(random() * 240)),
        ]
        if let labels = store.scope.labels, !labels.isEmpty { query["labelSelector"] = labels.query }
        query["fieldSelector"] = store.scope.fields
        let start = clock.now
        let events = try await api.watch(
            APIRequest(.watch, store.scope.resource, namespace: store.scope.namespace, query: query))
        var seen = version
        do {
            for try await event in events {
                store.apply(event)
                if !event.object.resourceVersion.isEmpty { seen = event.object.resourceVersion }
            }
        } catch let error as APIError {
            // What was applied must not be asked for again, except after 410, which starts anew.
            if error.code == 410 || seen == version { throw error }
            logger.debug("watch failed after progress", metadata: ["error": "\(error)"])
            return (seen, false)
        } catch {
            throw APIError(code: 0, reason: "Unknown", message: "\(error)")
        }
        return (seen, seen != version || start.duration(to: clock.now) >= .seconds(1))
    }

    private func pause(_ duration: Duration) async { try? await clock.sleep(for: duration) }
}
