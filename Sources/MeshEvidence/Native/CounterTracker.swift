/// Turns raw counters, read at each look, into what happened between two looks.
///
/// Differences are taken per series, by its labels, and every series belongs to an instance (the pod whose proxy counts):
///
/// - a counter that fell was reset, by a restart of the proxy: what it shows now happened since;
/// - a new series of an instance that is known began at 0: proxies make a counter at its first event;
/// - an instance that was never seen before only sets its base line, since its past may be older than the look: the
///   first scrape of a new pod is not counted, which loses some seconds and never invents an event;
/// - a series that vanished keeps its last value, so that a missed scrape counts nothing twice.
///
/// The tracker lives in memory. After a restart of the operator, feed it first the counters at the time of the last look
/// that the status has (`query` with that time), then those of now: nothing is lost and nothing doubled.
package struct CounterTracker: Sendable, Hashable {
    /// Instances that were not seen for this long are forgotten.
    package static let memorySeconds = 3600.0

    /// Labels that name the instance; the first that a series has counts.
    private let instanceLabels: [String]
    private var last: [[String: String]: Double] = [:]
    private var instances: [String: Double] = [:]
    private var lastTime: Double?

    package init(instanceLabels: [String] = ["pod", "instance"]) { self.instanceLabels = instanceLabels }

    /// Whether an earlier look is known: the next one gives an interval.
    package var hasBaseline: Bool { lastTime != nil }

    /// Takes in one look and returns the increases since the one before, per series; series without increase are left
    /// out. Nil at the first look, which only sets the base line. A look that is not later than the last one is ignored.
    package mutating func observe(_ samples: [PrometheusAnswer.Sample], at time: Double) -> [Increase]? {
        if let lastTime, time <= lastTime { return [] }
        let isFirst = lastTime == nil
        lastTime = time
        var increases: [Increase] = []
        let known = Set(instances.keys)
        for sample in samples where sample.value.isFinite && sample.value >= 0 {
            let instance = instance(of: sample.labels)
            instances[instance] = time
            let before = last.updateValue(sample.value, forKey: sample.labels)
            guard known.contains(instance) else { continue }
            let increase = before.map { sample.value >= $0 ? sample.value - $0 : sample.value } ?? sample.value
            if increase > 0 { increases.append(Increase(labels: sample.labels, count: Int(increase.rounded()))) }
        }
        forget(before: time - Self.memorySeconds)
        return isFirst ? nil : increases
    }

    private func instance(of labels: [String: String]) -> String {
        instanceLabels.compactMap { labels[$0] }.first ?? ""
    }

    private mutating func forget(before time: Double) {
        let gone = Set(instances.filter { $0.value < time }.keys)
        guard !gone.isEmpty else { return }
        instances = instances.filter { !gone.contains($0.key) }
        last = last.filter { labels, _ in !gone.contains(instance(of: labels)) }
    }

    package struct Increase: Sendable, Hashable {
        package var labels: [String: String]
        package var count: Int

        package init(labels: [String: String], count: Int) {
            self.labels = labels
            self.count = count
        }
    }
}
