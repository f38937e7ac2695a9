import Metrics
import Synchronization

/// The client's metrics. `resource` is the kind's plural with its group and subresource (`deployments.apps/status`), so
/// it is bounded by what Heddle uses; there is no label with names or namespaces.
///
/// - `heddle_kube_requests_total` by `verb`, `resource` and `code`: attempts, each with its HTTP status, or `error`
///   when none arrived. A watch counts when it begins.
/// - `heddle_kube_request_duration_seconds` by `verb` and `resource`: of one attempt, until its body was read; of a
///   watch until it begins.
/// - `heddle_kube_request_retries_total` by `verb` and `resource`: attempts after the first.
/// - `heddle_kube_request_throttled_seconds` by `verb`: waits that the client's own rate limit imposed.
final class ClientMetrics: Sendable {
    private struct Key: Hashable {
        var verb: String
        var resource: String
        var code: String
    }

    private let factory: any MetricsFactory
    private let counters = Mutex<[Key: Counter]>([:])
    private let durations = Mutex<[Key: Recorder]>([:])
    private let retries = Mutex<[Key: Counter]>([:])
    private let waits = Mutex<[Key: Recorder]>([:])

    init(factory: any MetricsFactory) { self.factory = factory }

    /// - Parameter code: 0 when no answer arrived.
    func answered(_ call: HTTPCall, code: Int, took: Duration) {
        let code = code == 0 ? "error" : String(code)
        let labels = [("verb", call.verb), ("resource", call.resource)]
        counters.withLock { counters in
            let key = Key(verb: call.verb, resource: call.resource, code: code)
            let counter =
                counters[key]
                ?? Counter(label: "heddle_kube_requests_total", dimensions: labels + [("code", code)], factory: factory)
            counters[key] = counter
            counter.increment()
        }
        durations.withLock { durations in
            let key = Key(verb: call.verb, resource: call.resource, code: "")
            let recorder =
                durations[key]
                ?? Recorder(
                    label: "heddle_kube_request_duration_seconds", dimensions: labels, aggregate: true, factory: factory
                )
            durations[key] = recorder
            recorder.record(took / .seconds(1))
        }
    }

    func repeated(_ call: HTTPCall) {
        retries.withLock { retries in
            let key = Key(verb: call.verb, resource: call.resource, code: "")
            let counter =
                retries[key]
                ?? Counter(
                    label: "heddle_kube_request_retries_total",
                    dimensions: [("verb", call.verb), ("resource", call.resource)], factory: factory)
            retries[key] = counter
            counter.increment()
        }
    }

    func throttled(_ call: HTTPCall, for duration: Duration) {
        guard duration > .zero else { return }
        waits.withLock { waits in
            let key = Key(verb: call.verb, resource: "", code: "")
            let recorder =
                waits[key]
                ?? Recorder(
                    label: "heddle_kube_request_throttled_seconds", dimensions: [("verb", call.verb)], aggregate: true,
                    factory: factory)
            waits[key] = recorder
            recorder.record(duration / .seconds(1))
        }
    }
}
