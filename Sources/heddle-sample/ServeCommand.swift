import ArgumentParser
import FoundationEssentials
import NIOCore
import NIOPosix

/// `heddle-sample serve`
struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve HTTP with settable latency, errors and downstream calls.",
        discussion: """
            Every option may also be given as an environment variable: SAMPLE_LATENCY_MS for --latency-ms.
            SIGTERM: /readyz fails at once, requests are served for --drain-seconds more, then exit 0.
            """)

    @Option(help: "Address to listen on (default 0.0.0.0).") var host: String?
    @Option(help: "HTTP port (default 8080).") var port: Int?
    @Option(help: "Name of the service.") var name: String?
    @Option(help: "Version, answered as x-served-version (default v1).") var version: String?
    @Option(help: "Time each request takes.") var latencyMs: Double?
    @Option(help: "Random time added, from 0 to this.") var latencyJitterMs: Double?
    @Option(help: "Share of requests answered 500.") var errorPercent: Double?
    @Option(help: "Share of requests slowed by --slow-ms.") var slowPercent: Double?
    @Option(help: "Time added to the slow requests.") var slowMs: Double?
    @Option(help: "URLs called for each request, separated by commas.") var calls: String?
    @Flag(help: "Make the downstream calls at the same time.") var callsConcurrently = false
    @Option(help: "Limit for each downstream call (default 5000).") var callTimeoutMs: Int?
    @Option(help: "Time after the start until /readyz succeeds.") var warmUpMs: Int?
    @Option(help: "Time to go on serving after SIGTERM (default 3).") var drainSeconds: Double?
    @Option(help: "Port of a TCP echo service.") var tcpEchoPort: Int?

    func run() throws {
        let settings = try settings(environment: ProcessInfo.processInfo.environment)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let server = SampleServer(settings: settings, loop: loop)
        let signals = TerminationSignal { count in count == 1 ? server.drain() : server.stop() }
        let port = try server.start().wait()
        print("\(settings.name) \(settings.version) serves on port \(port)")
        flushOutput()
        try server.whenStopped.wait()
        signals.cancel()
    }

    /// The settings by option, else by environment, else by default.
    func settings(environment: [String: String]) throws -> ServeSettings {
        func pick<T: LosslessStringConvertible>(_ option: T?, _ variable: String, _ fallback: T) throws -> T {
            if let option { return option }
            guard let text = environment["SAMPLE_" + variable], !text.isEmpty else { return fallback }
            guard let value = T(text) else { throw ValidationError("SAMPLE_\(variable)='\(text)' is no valid value") }
            return value
        }
        var settings = ServeSettings()
        settings.host = try pick(host, "HOST", settings.host)
        settings.port = try pick(port, "PORT", settings.port)
        settings.name = try pick(name, "NAME", settings.name)
        settings.version = try pick(version, "VERSION", settings.version)
        settings.pod = environment["POD_NAME"] ?? environment["HOSTNAME"] ?? settings.name
        settings.latencyMS = try pick(latencyMs, "LATENCY_MS", 0)
        settings.latencyJitterMS = try pick(latencyJitterMs, "LATENCY_JITTER_MS", 0)
        settings.errorPercent = try pick(errorPercent, "ERROR_PERCENT", 0)
        settings.slowPercent = try pick(slowPercent, "SLOW_PERCENT", 0)
        settings.slowMS = try pick(slowMs, "SLOW_MS", 0)
        settings.calls = try pick(calls, "CALLS", "").split(separator: ",").map { try WireURL(String($0)) }
        settings.callsConcurrently = try pick(callsConcurrently ? true : nil, "CALLS_CONCURRENTLY", false)
        settings.callTimeoutMS = try pick(callTimeoutMs, "CALL_TIMEOUT_MS", settings.callTimeoutMS)
        settings.warmUpMS = try pick(warmUpMs, "WARM_UP_MS", 0)
        settings.drainSeconds = try pick(drainSeconds, "DRAIN_SECONDS", settings.drainSeconds)
        let echo = try pick(tcpEchoPort, "TCP_ECHO_PORT", 0)
        settings.tcpEchoPort = echo == 0 ? nil : echo
        return settings
    }
}
