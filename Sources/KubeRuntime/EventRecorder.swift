package import FoundationEssentials
package import KubeCore
package import Logging
import ServiceLifecycle
import Synchronization

/// Tells people what happened to an object, as core Events that `kubectl describe` and `kubectl get events` show.
///
/// `record` is for transitions; it returns at once and never fails. What repeats becomes a count on the event that is
/// there, written at most once each `repeatInterval`: a reconciler that says the same again and again writes nothing in
/// between. `EventSeries` has the rules against floods. `run()` writes; when it cannot keep up, or the API refuses, events
/// are dropped: metrics and the debug log say so.
///
/// `recordTransitions` compares two lists of conditions and tells what became of each, so that events and `status` agree.
package final class EventRecorder: Service {
    package enum Kind: String, Sendable {
        case normal = "Normal"
        case warning = "Warning"
    }

    /// An event to be written.
    struct Entry: Sendable, Hashable {
        var reference: JSONValue
        var namespace: String
        var kind: Kind
        var reason: String
        var message: String
        var date: Date
        /// It stands for many similar ones, and is known without its message.
        var isCombined = false

        /// The object that it is about.
        var subject: String {
            [reference["uid"]?.string, reference["kind"]?.string, namespace, reference["name"]?.string]
                .map { $0 ?? "" }.joined(separator: "\u{1F}")
        }
        /// What similar events have in common.
        var group: String { [subject, kind.rawValue, reason].joined(separator: "\u{1F}") }
        /// What the same event has in common.
        var identity: String { isCombined ? group : group + "\u{1F}" + message }
        var text: String { isCombined ? "(combined from similar events): " + message : message }
    }

    private let api: any ClusterAPI
    private let component: String
    private let instance: String
    private let date: @Sendable () -> Date
    private let logger: Logger
    private let mailbox: AsyncStream<Entry>.Continuation
    private let entries: AsyncStream<Entry>
    private let series: Mutex<EventSeries>
    private let metrics = EventMetrics()

    /// - Parameters:
    ///   - component: who reports, e.g. `heddle-canary`.
    ///   - instance: which replica, e.g. the pod's name.
    ///   - repeatInterval: how long repetitions of one event are only counted.
    package init(
        api: any ClusterAPI, component: String, instance: String, logger: Logger,
        repeatInterval: Duration = .seconds(300),
        date: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.api = api
        self.component = component
        self.instance = instance
        self.date = date
        self.logger = logger
        series = Mutex(EventSeries(repeatInterval: repeatInterval))
        (entries, mailbox) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(1000))
    }

    /// - Parameters:
    ///   - reason: PascalCase, from the closed enum of the object's conditions.
    ///   - message: a sentence.
    package func record(_ kind: Kind = .normal, reason: String, message: String, on object: KubeObject) {
        let reference: JSONValue = [
            "apiVersion": .string(object.apiVersion), "kind": .string(object.kind), "name": .string(object.name),
            "namespace": .string(object.namespace), "uid": .string(object.uid),
            "resourceVersion": .string(object.resourceVersion),
        ]
        let entry = Entry(
            reference: reference, namespace: object.namespace.isEmpty ? "default" : object.namespace, kind: kind,
            reason: reason, message: String(message.prefix(1024)), date: date())
        switch series.withLock({ $0.admit(entry) }) {
        case .counted: metrics.note("counted")
        case .dropped: drop(entry)
        case .write(let admitted):
            guard case .dropped = mailbox.yield(admitted) else { return }
            series.withLock { $0.forget(admitted) }
            drop(admitted)
        }
    }

    /// Records what changed between two states of an object's conditions: one event for each that is new or whose status or
    /// reason changed. A message that changes alone is no transition.
    /// - Parameter isWarning: whether a condition as it is now is bad news.
    package func recordTransitions(
        from old: [Condition], to new: [Condition], on object: KubeObject, isWarning: (Condition) -> Bool
    ) {
        let before = Dictionary(old.map { ($0.type, $0) }, uniquingKeysWith: { $1 })
        for condition in new {
            if let known = before[condition.type], known.status == condition.status, known.reason == condition.reason {
                continue
            }
            record(
                isWarning(condition) ? .warning : .normal, reason: condition.reason, message: condition.message,
                on: object)
        }
    }

    private func drop(_ entry: Entry) {
        metrics.note("dropped")
        logger.debug("event dropped", metadata: ["reason": "\(entry.reason)", "object": "\(entry.subject)"])
    }

    package func run() async {
        for await entry in entries.cancelOnGracefulShutdown() { await write(entry) }
    }

    private func write(_ entry: Entry) async {
        do throws(APIError) {
            if let (name, count) = series.withLock({ $0.repetition(of: entry) }) {
                do throws(APIError) {
                    _ = try await api.patch(
                        .events, namespace: entry.namespace, name: name,
                        [
                            "count": .int(count), "lastTimestamp": .string(KubeTime.format(entry.date)),
                            "message": .string(entry.text),
                        ])
                    metrics.note("written")
                    return
                } catch {
                    // Events live an hour: this is a new one.
                    guard error.isNotFound else { throw error }
                }
            }
            let event = event(for: entry)
            _ = try await api.create(.events, event)
            series.withLock { $0.written(entry, name: event.name) }
            metrics.note("written")
        } catch {
            metrics.note("failed")
            series.withLock { $0.forget(entry) }
            logger.debug("event not written", metadata: ["reason": "\(entry.reason)", "error": "\(error)"])
        }
    }

    private func event(for entry: Entry) -> KubeObject {
        let stamp = String(Int(entry.date.timeIntervalSince1970 * 1_000_000), radix: 16)
        let digest = String(
            entry.identity.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 },
            radix: 16)
        let prefix = (entry.reference["name"]?.string ?? "").prefix(200)
        var event = KubeObject(.events, namespace: entry.namespace, name: "\(prefix).\(stamp).\(digest)")
        let time = JSONValue.string(KubeTime.format(entry.date))
        let fields: [String: JSONValue] = [
            "involvedObject": entry.reference, "type": .string(entry.kind.rawValue), "reason": .string(entry.reason),
            "message": .string(entry.text), "count": .int(series.withLock { $0.count(of: entry) }),
            "firstTimestamp": time, "lastTimestamp": time,
            "source": ["component": .string(component)], "reportingComponent": .string(component),
            "reportingInstance": .string(instance),
        ]
        for (name, value) in fields { event.json[name] = value }
        return event
    }
}
