import ArgumentParser
import FoundationEssentials
import NIOCore
import NIOHTTP1
import NIOPosix

/// `heddle-sample load`
struct LoadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Send requests at a fixed rate and count outcomes, versions and latency.",
        discussion: """
            /report on the report port gives the counts as JSON, /reset starts them anew. On SIGTERM the requests in
            flight are awaited and the report is printed. A cause is a status with the service's fault header, or the
            kind of connection error. A request repeated because the server had closed the kept connection meanwhile is
            no failure; it is counted in connectionRetries.
            """)

    @Option(name: .customLong("url"), help: "Where to send; may be given several times (taken in turn).")
    var urls: [String] = []
    @Option(help: "Requests per second, over all URLs.") var rps = 10.0
    @Option(help: "Seconds to run; 0 for ever.") var duration = 0.0
    @Option(help: "HTTP method.") var method = "GET"
    @Option(name: [.customLong("header"), .customShort("H")], help: "Header 'name: value'; may be repeated.")
    var headers: [String] = []
    @Option(help: "Body to send.") var data: String?
    @Flag(help: "Open a new connection for each request.") var newConnections = false
    @Option(help: "Limit for each request.") var timeoutMs = 5000
    @Option(help: "Requests in flight at most; one that would be more is not sent and counts as overrun.")
    var maxInFlight = 1000
    @Option(help: "Port of /report, /reset, /metrics, /healthz; 0 for none.") var reportPort = 8081
    @Option(help: "Seconds between summary lines; 0 for none.") var reportEvery = 10.0

    func validate() throws {
        guard rps > 0, maxInFlight > 0, timeoutMs > 0 else {
            throw ValidationError("--rps, --max-in-flight and --timeout-ms must be above 0")
        }
    }

    func run() throws {
        let settings = try settings(environment: ProcessInfo.processInfo.environment)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let generator = LoadGenerator(settings: settings, loop: loop)
        if reportPort > 0 {
            _ = try Listener.http(on: loop, host: "0.0.0.0", port: reportPort, answerer: generator).wait()
        }
        let signals = TerminationSignal { count in count == 1 ? generator.stop() : generator.stopNow() }
        generator.start()
        if reportEvery > 0 {
            let every = TimeAmount.nanoseconds(Int64(reportEvery * 1e9))
            loop.scheduleRepeatedTask(initialDelay: every, delay: every) { _ in
                print(Self.summary(generator.report))
                flushOutput()
            }
        }
        let report = try generator.whenFinished.wait()
        signals.cancel()
        print(sampleJSON(report), terminator: "")
    }

    func settings(environment: [String: String]) throws -> LoadSettings {
        let texts = urls.isEmpty ? (environment["LOAD_URLS"] ?? "").split(separator: ",").map(String.init) : urls
        guard !texts.isEmpty else { throw ValidationError("give --url at least once (or LOAD_URLS)") }
        var settings = LoadSettings(urls: try texts.map { try WireURL($0) }, requestsPerSecond: rps)
        settings.durationSeconds = duration
        settings.method = HTTPMethod(rawValue: method.uppercased())
        settings.headers = try parseHeaders(headers)
        settings.body = data
        settings.newConnections = newConnections
        settings.timeout = .milliseconds(Int64(timeoutMs))
        settings.maxInFlight = maxInFlight
        return settings
    }

    static func summary(_ report: LoadTally.Report) -> String {
        let causes = report.failures.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ")
        let versions = report.versions.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
        let latency = report.latencyMs
        return "sent \(report.sent) ok \(report.ok) failed \(report.failed)\(causes.isEmpty ? "" : " (\(causes))") "
            + "overrun \(report.overrun) retries \(report.connectionRetries) "
            + "p50 \(latency.p50) p90 \(latency.p90) p99 \(latency.p99) ms \(versions)"
    }
}

/// Parses `name: value` options.
func parseHeaders(_ lines: [String]) throws -> HTTPHeaders {
    var headers = HTTPHeaders()
    for line in lines {
        guard let colon = line.firstIndex(of: ":"), colon != line.startIndex else {
            throw ValidationError("'\(line)' is no header; write 'name: value'")
        }
        let value = line[line.index(after: colon)...].drop { $0 == " " }
        headers.add(name: String(line[..<colon]), value: String(value))
    }
    return headers
}
