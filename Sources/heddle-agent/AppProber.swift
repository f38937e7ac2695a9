import NIOCore
import NIOHTTP1
import NIOPosix

/// Asks the application what the kubelet would have asked it.
///
/// It dials the pod's own address, as the kubelet does, from the source address that capture leaves alone; so an
/// application that listens on that address only is reached, and one on 127.0.0.1 only fails, in the mesh as outside.
struct AppProber: Sendable {
    var probes: [String: AppProbe]
    /// The pod's address; 127.0.0.1 when unknown.
    var podIP: String

    struct Verdict: Equatable, Sendable {
        var status: Int
        var body: String
    }

    /// The verdict for a rewritten path; nil when no probe has it.
    func answer(path: String, userAgent: String?) async -> Verdict? {
        guard let probe = probes[path] else { return nil }
        do {
            return try await ask(probe, userAgent: userAgent)
        } catch {
            return Verdict(status: 503, body: "the application does not answer its probe: \(error)\n")
        }
    }

    private func ask(_ probe: AppProbe, userAgent: String?) async throws -> Verdict {
        switch probe.check {
        case .http(let path, let port, let isTLS, let headers):
            var sent = HTTPHeaders(headers.map { ($0.name, $0.value) })
            if !sent.contains(name: "user-agent") {
                sent.add(name: "user-agent", value: userAgent ?? "kube-probe/heddle")
            }
            let response = try await LocalHTTPClient.send(
                LocalHTTPClient.Request(
                    host: podIP, port: port, path: path, headers: sent, timeout: probe.timeout, localAddress: source,
                    usesTLS: isTLS))
            // The kubelet would follow a redirect to the agent, which does not know the path; to it a redirect is
            // success.
            let status = (300..<400).contains(response.status) ? 200 : response.status
            return Verdict(status: status, body: response.body)
        case .tcp(let port):
            let loop = MultiThreadedEventLoopGroup.singleton.next()
            let channel = try await LocalHTTPClient.connect(on: loop, to: podIP, port, from: source, probe.timeout)
                .get()
            channel.close(promise: nil)
            return Verdict(status: 200, body: "connected\n")
        case .grpc(let port, let service):
            try await GRPCHealthProbe(host: podIP, port: port, service: service, timeout: probe.timeout, source: source)
                .run()
            return Verdict(status: 200, body: "serving\n")
        }
    }

    private var source: String {
        podIP.contains(":") ? CaptureRules.inboundSourceIPv6 : CaptureRules.inboundSourceIPv4
    }
}
