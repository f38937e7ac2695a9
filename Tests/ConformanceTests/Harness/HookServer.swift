import Foundation
import Hummingbird
import HummingbirdTLS
import KubeCore
import KubeTesting
import Logging
import NIOCore
import NIOSSL
import Synchronization

@testable import KubeSandbox

/// An admission webhook on the loopback, over TLS, that answers as the test says and keeps what it was asked.
final class HookServer: Sendable {
    typealias Decision = @Sendable (_ request: JSONValue) async throws -> JSONValue

    let port: Int
    /// base64 PEM.
    let authority: String
    private let asked = Mutex<[JSONValue]>([])
    private let decide: Decision

    private init(port: Int, authority: String, decide: @escaping Decision) {
        self.port = port
        self.authority = authority
        self.decide = decide
    }

    /// The requests until now about the test's own objects: no probes, nothing that controllers make.
    var requests: [JSONValue] {
        // Some servers ask before they have generated the name.
        asked.withLock { $0 }.filter { request in
            let object = request["object"].flatMap { $0.isNull ? nil : $0 } ?? request["oldObject"]
            return object?[path: "metadata", "generateName"]?.string != "probe-"
                && request["name"]?.string != "kube-root-ca.crt"
        }
    }

    /// How often it was asked, probes included.
    var count: Int { asked.withLock(\.count) }

    static func run<Value>(
        _ decide: @escaping Decision, _ body: (HookServer) async throws -> Value
    ) async throws -> Value {
        let identity = try ServingIdentity.make(names: ["localhost"])
        let tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(identity.certificate.utf8)).map {
                .certificate($0)
            },
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(identity.key.utf8), format: .pem)))
        let (ports, listening) = AsyncStream<Int>.makeStream()
        let current = Mutex<HookServer?>(nil)
        var logger = Logger(label: "conformance.hook")
        logger.logLevel = .critical
        let application = Application(
            responder: CallbackResponder<BasicRequestContext> { request, _ in
                let bytes = try await request.body.collect(upTo: 4 << 20)
                let review = try JSONValue.parse(bytes.readableBytesView)
                let answer = try await current.withLock { $0 }?.answer(review) ?? [:]
                return Response(
                    status: .ok, headers: [.contentType: "application/json"],
                    body: .init(byteBuffer: ByteBuffer(bytes: answer.serializedBytes())))
            },
            server: try .tls(.http1(), tlsConfiguration: tls),
            configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { listening.yield($0.localAddress?.port ?? 0) }, logger: logger)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await application.run() }
            var iterator = ports.makeAsyncIterator()
            let port = await iterator.next(isolation: nil) ?? 0
            let server = HookServer(
                port: port, authority: Data(identity.authority.utf8).base64EncodedString(), decide: decide)
            current.withLock { $0 = server }
            defer { group.cancelAll() }
            return try await body(server)
        }
    }

    private func answer(_ review: JSONValue) async throws -> JSONValue {
        let request = review["request"] ?? [:]
        asked.withLock { $0.append(request) }
        var response = try await decide(request)
        if response["uid"] == nil { response["uid"] = request["uid"] }
        return ["apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response]
    }

    // MARK: - Answers

    static let allow: JSONValue = ["allowed": true]

    static func deny(_ message: String, code: Int? = nil, reason: String? = nil) -> JSONValue {
        var status: JSONValue = ["message": .string(message)]
        if let code { status["code"] = .int(code) }
        if let reason { status["reason"] = .string(reason) }
        return ["allowed": false, "status": status]
    }

    static func patch(_ operations: JSONValue) -> JSONValue {
        [
            "allowed": true, "patchType": "JSONPatch",
            "patch": .string(Data(operations.serializedBytes()).base64EncodedString()),
        ]
    }
}
