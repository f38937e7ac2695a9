import NIOCore
import NIOPosix

/// A running sample service: its sockets, and its orderly end.
///
/// Unchecked, because every member is read and written on `loop` only.
final class SampleServer: @unchecked Sendable {
    let service: SampleService
    private let loop: any EventLoop
    private var channels: [any Channel] = []
    private var isStopping = false
    private let stopped: EventLoopPromise<Void>

    init(settings: ServeSettings, loop: any EventLoop) {
        self.loop = loop
        service = SampleService(settings: settings, loop: loop)
        stopped = loop.makePromise()
    }

    /// Completes when the service has drained and its sockets are closed.
    var whenStopped: EventLoopFuture<Void> { stopped.futureResult }

    /// Binds, then counts as ready after the warm-up. Gives the HTTP port.
    func start() -> EventLoopFuture<Int> {
        let settings = service.settings
        return loop.flatSubmit {
            var bound = [Listener.http(on: self.loop, host: settings.host, port: settings.port, answerer: self.service)]
            if let port = settings.tcpEchoPort {
                bound.append(Listener.echo(on: self.loop, host: settings.host, port: port))
            }
            return EventLoopFuture.whenAllSucceed(bound, on: self.loop).map { channels in
                self.channels = channels
                self.loop.scheduleTask(in: .milliseconds(Int64(settings.warmUpMS))) { self.service.becomeReady() }
                return channels[0].localAddress?.port ?? settings.port
            }
        }
        .flatMapErrorThrowing { error in
            self.stopped.fail(error)
            throw error
        }
    }

    /// Stops being ready at once, goes on serving for the drain time, then ends when the last answer is out.
    func drain() {
        loop.execute {
            guard !self.isStopping else { return }
            self.isStopping = true
            self.service.beginDraining()
            self.loop.scheduleTask(in: .milliseconds(Int64(self.service.settings.drainSeconds * 1000))) {
                self.service.quiet().whenComplete { _ in self.close() }
            }
        }
    }

    /// Ends now, whatever is in flight.
    func stop() {
        loop.execute { self.close() }
    }

    private func close() {
        isStopping = true
        let closing = channels.map { $0.close() }
        channels = []
        EventLoopFuture.whenAllComplete(closing, on: loop).whenComplete { _ in
            // The last answer is still on its way through the pipeline: one turn of the loop lets it out.
            self.loop.execute { self.stopped.succeed() }
        }
    }
}
