import FoundationEssentials
import NIOCore
import NIOHTTP1

/// Sends requests at a fixed rate, however slowly they are answered (open loop), and counts what came back.
///
/// Latency runs from the moment a request was due, so that a stall of this process or of the server is not left out.
/// Unchecked, because every member is read and written on `loop` only.
final class LoadGenerator: Answerer, @unchecked Sendable {
    private let settings: LoadSettings
    private let loop: any EventLoop
    private let client: WireClient
    private var tally = LoadTally(since: Date())
    private var begun = NIODeadline.now()
    private var scheduled = 0
    private var inFlight = 0
    private var isStopping = false
    private let finished: EventLoopPromise<LoadTally.Report>

    init(settings: LoadSettings, loop: any EventLoop) {
        self.settings = settings
        self.loop = loop
        client = WireClient(loop: loop)
        finished = loop.makePromise()
    }

    /// Completes with the last report when the duration is over, or after `stop`, and nothing is in flight.
    var whenFinished: EventLoopFuture<LoadTally.Report> { finished.futureResult }

    func start() {
        loop.execute {
            self.begun = .now()
            self.tally = LoadTally(since: Date())
            self.scheduleNext()
            if self.settings.durationSeconds > 0 {
                let length = TimeAmount.nanoseconds(Int64(self.settings.durationSeconds * 1e9))
                self.loop.scheduleTask(in: length) { self.stopOnLoop() }
            }
        }
    }

    /// Sends no more; what is in flight is still counted.
    func stop() { loop.execute { self.stopOnLoop() } }

    /// Does not wait for what is in flight.
    func stopNow() {
        loop.execute {
            self.isStopping = true
            self.finished.succeed(self.report)
        }
    }

    /// The counts so far; on `loop` only.
    var report: LoadTally.Report {
        tally.report(at: Date(), connectionRetries: client.connectionRetries, inFlight: inFlight)
    }

    private func stopOnLoop() {
        isStopping = true
        finishIfQuiet()
    }

    private func finishIfQuiet() {
        guard isStopping, inFlight == 0 else { return }
        client.closeIdle()
        finished.succeed(report)
    }

    private func dueTime(of number: Int) -> NIODeadline {
        begun + .nanoseconds(Int64(Double(number) / settings.requestsPerSecond * 1e9))
    }

    private func scheduleNext() {
        loop.scheduleTask(deadline: dueTime(of: scheduled)) {
            let now = NIODeadline.now()
            while !self.isStopping, self.dueTime(of: self.scheduled) <= now {
                self.sendOne(number: self.scheduled, due: self.dueTime(of: self.scheduled))
                self.scheduled += 1
            }
            if !self.isStopping { self.scheduleNext() }
        }
    }

    private func sendOne(number: Int, due: NIODeadline) {
        guard inFlight < settings.maxInFlight else {
            tally.overrun += 1
            return
        }
        inFlight += 1
        let request = WireRequest(
            url: settings.urls[number % settings.urls.count], method: settings.method, headers: settings.headers,
            body: settings.body)
        client.send(request, reuse: !settings.newConnections, deadline: due + settings.timeout).whenComplete { result in
            self.inFlight -= 1
            let elapsed = Int((NIODeadline.now() - due).nanoseconds / 1000)
            self.tally.record(Self.outcome(result), microseconds: elapsed, at: Date())
            self.finishIfQuiet()
        }
    }

    private static func outcome(_ result: Result<WireResponse, any Error>) -> LoadTally.Outcome {
        switch result {
        case .failure(let error): return .failed(WireFailure(error))
        case .success(let response):
            let headers = response.head.headers
            let hops = headers[SampleService.chainHeader].flatMap { $0.split(separator: ",").map(String.init) }
            return .answered(
                status: response.status, fault: headers.first(name: SampleService.faultHeader),
                version: headers.first(name: SampleService.versionHeader), hops: hops, body: response.body)
        }
    }
}

// MARK: - The report port

extension LoadGenerator {
    var isClosing: Bool { isStopping }

    func answer(_ head: HTTPRequestHead) -> EventLoopFuture<Reply> {
        switch head.uri.prefix(while: { $0 != "?" }) {
        case "/healthz", "/readyz": loop.makeSucceededFuture(.text("ok\n"))
        case "/report": loop.makeSucceededFuture(.json(sampleJSON(report)))
        case "/reset": loop.makeSucceededFuture(reset())
        case "/metrics": loop.makeSucceededFuture(.text(prometheusText))
        default: loop.makeSucceededFuture(.text("try /report, /reset, /metrics or /healthz\n", status: .notFound))
        }
    }

    /// Starts the counts anew and answers the report until then. A request in flight counts in the new period.
    private func reset() -> Reply {
        let last = report
        tally = LoadTally(since: Date())
        client.resetCounts()
        return .json(sampleJSON(last))
    }

    private var prometheusText: String {
        var lines = ["# TYPE load_requests_total counter", "load_requests_total{outcome=\"ok\"} \(tally.ok)"]
        for (cause, count) in tally.failures.sorted(by: { $0.key < $1.key }) {
            let name = cause.filter { $0 != "\"" && $0 != "\\" && $0 != "\n" }
            lines.append("load_requests_total{outcome=\"\(name)\"} \(count)")
        }
        lines += ["# TYPE load_overrun_total counter", "load_overrun_total \(tally.overrun)"]
        lines += [
            "# TYPE load_connection_retries_total counter", "load_connection_retries_total \(client.connectionRetries)",
        ]
        lines += tally.latency.prometheusLines(
            "load_request_duration_seconds", labels: "",
            boundsMS: [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000])
        return lines.joined(separator: "\n") + "\n"
    }
}
