import FoundationEssentials
import KubeCore
import KubeTesting
import Synchronization
import Testing

@testable import KubeRuntime

struct StatusWriterTests {
    let cluster = InMemoryCluster()
    var writer: StatusWriter { StatusWriter(.pods, api: cluster) }

    @Test func `an equal status is not written`() async throws {
        var object = pod("a")
        object.status = ["phase": "Running"]
        let cached = cluster.seed(.pods, object)
        #expect(try await writer.write(["phase": "Running"], to: cached) == nil)
        #expect(cluster.requests.isEmpty)
    }

    @Test func `only what differs is sent, and members that went are removed`() async throws {
        var object = pod("a")
        object.status = ["phase": "Running", "old": 1, "kept": ["x": 1]]
        let cached = cluster.seed(.pods, object)
        try await writer.write(["phase": "Failed", "kept": ["x": 1]], to: cached)
        #expect(cluster.requests.first?.body?["status"] == ["phase": "Failed", "old": .null])
        #expect(cluster.object(.pods, namespace: "shop", name: "a")?.status == ["phase": "Failed", "kept": ["x": 1]])
    }

    @Test func `a change elsewhere in the object does not stop the write`() async throws {
        let cached = cluster.seed(.pods, pod("a"))
        _ = try await cluster.patch(.pods, namespace: "shop", name: "a", ["metadata": ["labels": ["x": "1"]]])
        try await writer.write(["phase": "Running"], to: cached)
        let now = cluster.object(.pods, namespace: "shop", name: "a")
        #expect(now?.status["phase"] == "Running" && now?.labels == ["x": "1"])
    }

    @Test(arguments: [
        APIRequest(.patch(.merge), .pods, namespace: "shop", name: "a", body: ["spec": ["nodeName": "n"]]),
        APIRequest(
            .patch(.merge), .pods, namespace: "shop", name: "a", subresource: "status", body: ["status": ["phase": "x"]]
        ),
    ])
    func `a status computed from an old spec or status conflicts`(_ change: APIRequest) async throws {
        let cached = cluster.seed(.pods, pod("a"))
        _ = try await cluster.perform(change)
        await #expect { try await writer.write(["phase": "Running"], to: cached) } throws: {
            ($0 as? APIError)?.isConflict == true
        }
    }

    @Test func `the status of an object that has gone is nobody's loss`() async throws {
        let cached = cluster.seed(.pods, pod("a"))
        cluster.remove(.pods, namespace: "shop", name: "a")
        #expect(try await writer.write(["phase": "Running"], to: cached) == nil)
    }
}

struct FinalizerTests {
    let cluster = InMemoryCluster()
    var finalizer: Finalizer { Finalizer("heddle.dev/test", of: .pods, api: cluster) }

    @Test func `the finalizer is stored before anything is made`() async throws {
        let object = cluster.seed(.pods, pod("a"))
        _ = try await finalizer.reconcile(object) { given in
            #expect(cluster.object(.pods, namespace: "shop", name: "a")?.finalizers == ["heddle.dev/test"])
            #expect(given.resourceVersion != object.resourceVersion)
            return .done
        } cleanup: { _ in
            .done
        }
        #expect(cluster.writes.count == 1)
    }

    @Test func `cleanup repeats until it succeeds and only then the finalizer goes`() async throws {
        var object = pod("a")
        object.finalizers = ["other.io/x", "heddle.dev/test"]
        cluster.seed(.pods, object)
        try await cluster.delete(.pods, namespace: "shop", name: "a")
        var live: KubeObject? { cluster.object(.pods, namespace: "shop", name: "a") }
        let apply: (KubeObject) async throws -> ReconcileResult = { _ in
            Issue.record("nothing is made for what is being deleted")
            return .done
        }
        let deleted = try #require(live)
        await #expect(throws: Failure.self) {
            try await finalizer.reconcile(deleted, apply: apply) { _ in throw Failure("not yet") }
        }
        let again = try await finalizer.reconcile(deleted, apply: apply) { _ in .requeue(after: .seconds(1)) }
        #expect(again == .requeue(after: .seconds(1)) && live?.finalizers.count == 2)
        _ = try await finalizer.reconcile(deleted, apply: apply) { _ in .done }
        #expect(live?.finalizers == ["other.io/x"])
    }

    @Test func `a stale object conflicts instead of undoing another's finalizer`() async throws {
        let cached = cluster.seed(.pods, pod("a"))
        _ = try await cluster.patch(.pods, namespace: "shop", name: "a", ["metadata": ["finalizers": ["other.io/x"]]])
        await #expect { _ = try await finalizer.add(to: cached) } throws: { ($0 as? APIError)?.isConflict == true }
        #expect(cluster.object(.pods, namespace: "shop", name: "a")?.finalizers == ["other.io/x"])
    }
}

struct EventRecorderTests {
    let cluster = InMemoryCluster()
    let now = Box(Date(timeIntervalSince1970: 1_800_000_000))

    final class Box: Sendable {
        private let value: Mutex<Date>
        init(_ date: Date) { value = Mutex(date) }
        var date: Date { value.withLock { $0 } }
        func advance(_ seconds: Double) { value.withLock { $0.addTimeInterval(seconds) } }
    }

    var recorder: EventRecorder {
        EventRecorder(
            api: cluster, component: "heddle-canary", instance: "pod-1", logger: quiet, date: { [now] in now.date })
    }

    @Test func `what repeats becomes a count, written seldom`() async throws {
        let object = cluster.seed(.pods, pod("a"))
        let recorder = recorder
        try await alongside {
            await recorder.run()
        } during: {
            recorder.record(.warning, reason: "Rejected", message: "the canary fails", on: object)
            #expect(await eventually { cluster.objects(.events).count == 1 })
            for _ in 0..<50 { recorder.record(.warning, reason: "Rejected", message: "the canary fails", on: object) }
            now.advance(301)
            recorder.record(.warning, reason: "Rejected", message: "the canary fails", on: object)
            #expect(await eventually { cluster.objects(.events).first?.json["count"] == 52 })
            #expect(cluster.requests.count == 2)
            let event = try #require(cluster.objects(.events).first)
            #expect(event.json["type"] == "Warning" && event.json["reason"] == "Rejected")
            #expect(event.json[path: "involvedObject", "uid"]?.string == object.uid)
            #expect(event.json["firstTimestamp"] != event.json["lastTimestamp"])
        }
    }

    @Test func `another message is another event`() async throws {
        let object = cluster.seed(.pods, pod("a"))
        let recorder = recorder
        try await alongside {
            await recorder.run()
        } during: {
            recorder.record(reason: "Promoted", message: "one", on: object)
            recorder.record(reason: "Promoted", message: "two", on: object)
            #expect(await eventually { cluster.objects(.events).count == 2 })
        }
    }

    @Test func `an event that has lapsed is written anew`() async throws {
        let object = cluster.seed(.pods, pod("a"))
        let recorder = recorder
        try await alongside {
            await recorder.run()
        } during: {
            recorder.record(reason: "Promoted", message: "one", on: object)
            #expect(await eventually { cluster.objects(.events).count == 1 })
            let old = try #require(cluster.objects(.events).first)
            cluster.remove(.events, namespace: "shop", name: old.name)
            now.advance(3600)
            recorder.record(reason: "Promoted", message: "one", on: object)
            #expect(await eventually { cluster.objects(.events).count == 1 })
        }
    }

    @Test func `a refusing API costs the caller nothing and the next event is written`() async throws {
        let object = cluster.seed(.pods, pod("a"))
        let recorder = recorder
        cluster.injectFaults { _, number in
            number == 1 ? .refuse(APIError(code: 500, reason: "InternalError", message: "no")) : nil
        }
        try await alongside {
            await recorder.run()
        } during: {
            recorder.record(reason: "Promoted", message: "one", on: object)
            #expect(await eventually { cluster.requests.count == 1 })
            #expect(
                await eventually {
                    recorder.record(reason: "Promoted", message: "one", on: object)
                    return cluster.objects(.events).count == 1
                })
        }
    }

    @Test func `transitions of conditions are told and nothing else`() async throws {
        let object = cluster.seed(.pods, pod("a"))
        let recorder = recorder
        func condition(_ type: String, _ status: Condition.Status, _ reason: String, _ message: String) -> Condition {
            Condition(type: type, status: status, reason: reason, message: message)
        }
        let old = [condition("Ready", .true, "Settled", "all is well"), condition("Held", .false, "Open", "no")]
        let new = [
            condition("Ready", .false, "Failing", "three of five fail"), condition("Held", .false, "Open", "not now"),
            condition("Seen", .true, "Observed", "it is there"),
        ]
        try await alongside {
            await recorder.run()
        } during: {
            recorder.recordTransitions(from: old, to: new, on: object) { $0.status == .false }
            recorder.recordTransitions(from: new, to: new, on: object) { $0.status == .false }
            #expect(await eventually { cluster.objects(.events).count == 2 })
            #expect(
                Set(
                    cluster.objects(.events).map {
                        "\($0.json["type"]?.string ?? "") \($0.json["reason"]?.string ?? "")"
                    })
                    == ["Warning Failing", "Normal Observed"])
            #expect(cluster.requests.count == 2)
        }
    }
}

struct EventSeriesTests {
    let start = Date(timeIntervalSince1970: 1_800_000_000)

    func entry(_ object: String = "p", message: String = "m", after seconds: Double = 0) -> EventRecorder.Entry {
        EventRecorder.Entry(
            reference: ["name": .string(object)], namespace: "shop", kind: .normal, reason: "R", message: message,
            date: start.addingTimeInterval(seconds))
    }

    func isWritten(_ admission: EventSeries.Admission) -> Bool {
        if case .write = admission { true } else { false }
    }

    @Test func `the memory of events is bounded`() {
        var series = EventSeries(repeatInterval: .seconds(300), capacity: 100)
        for number in 0..<1000 {
            let admission = series.admit(entry("p\(number)"))
            #expect(isWritten(admission))
        }
        #expect(series.count <= 300)
    }

    @Test func `messages that differ only in a number become one event`() {
        var series = EventSeries(repeatInterval: .seconds(300))
        let texts = (0..<100).compactMap { number -> String? in
            guard case .write(let written) = series.admit(entry(message: "\(number) pods fail", after: Double(number)))
            else { return nil }
            return written.text
        }
        #expect(texts == (0..<10).map { "\($0) pods fail" } + ["(combined from similar events): 10 pods fail"])
        // Ten minutes of silence, and it is news again.
        let later = series.admit(entry(message: "new", after: 800))
        #expect(later == .write(entry(message: "new", after: 800)))
    }

    @Test func `an object that goes mad is heard 25 times and then each five minutes, others as ever`() {
        var series = EventSeries(repeatInterval: .seconds(300))
        var written = 0
        for second in 0..<3600 {
            var entry = entry(message: "m\(second)", after: Double(second))
            entry.reason = "R\(second)"
            let admission = series.admit(entry)
            if isWritten(admission) { written += 1 }
        }
        #expect(written == 25 + 11 || written == 25 + 12)
        let other = series.admit(entry("other", after: 3600))
        #expect(isWritten(other))
    }
}
