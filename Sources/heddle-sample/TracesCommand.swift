import ArgumentParser
import NIOCore
import NIOPosix

/// `heddle-sample traces`: counts the spans that proxies send.
struct TracesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "traces", abstract: "Collect Zipkin spans and count them; GET /summary tells.")

    @Option(help: "Port to listen on.") var port = 9411

    func run() throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let stopped = loop.makePromise(of: Void.self)
        let signals = TerminationSignal { _ in stopped.succeed() }
        let channel = try Listener.http(
            on: loop, host: "0.0.0.0", port: port, answerer: TraceCollector(loop: loop)
        ).wait()
        print("collecting spans on port \(channel.localAddress?.port ?? port)")
        flushOutput()
        try stopped.futureResult.wait()
        signals.cancel()
        try channel.close().wait()
    }
}
