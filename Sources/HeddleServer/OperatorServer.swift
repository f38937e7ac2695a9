package import Hummingbird
import HummingbirdTLS
package import KubeCore
package import Logging
package import NIOSSL

/// The operator's HTTPS door (webhooks and certificate signing) as a Hummingbird application.
package enum OperatorServer {
    /// Paths: `POST /inject`, `/release`, `/validate` (AdmissionReview) and `POST /v1/certificates`.
    package static func secure(
        webhooks: AdmissionWebhooks, signing: CertificateSigning, address: String, port: Int, tls: TLSConfiguration,
        logger: Logger
    ) throws -> some ApplicationProtocol {
        let router = Router()
        admission(router, "/inject") { await webhooks.inject($0) }
        admission(router, "/release") { webhooks.holdRelease($0) }
        admission(router, "/validate") { webhooks.validate($0) }
        router.post("/v1/certificates") { request, _ in
            let token = request.headers[.authorization].flatMap { header in
                header.hasPrefix("Bearer ") ? String(header.dropFirst(7)) : nil
            }
            do throws(CertificateSigning.Refusal) {
                return json(try await signing.sign(token: token, body: try await body(of: request)))
            } catch {
                logger.info("certificate refused", metadata: ["status": "\(error.status)", "why": "\(error.message)"])
                return json(["error": .string(error.message)], status: .init(code: error.status))
            }
        }
        return Application(
            router: router, server: try .tls(.http1(), tlsConfiguration: tls),
            configuration: .init(address: .hostname(address, port: port), serverName: "heddle-operator"), logger: logger
        )
    }

    /// The plain door: `/healthz`, `/readyz`, `/metrics`, `/prometheus/targets` (HTTP service discovery) and
    /// `/debug/proxies`.
    package static func plain(
        address: String, port: Int, isReady: @escaping @Sendable () -> Bool, metrics: @escaping @Sendable () -> String,
        targets: @escaping @Sendable () -> JSONValue, proxies: @escaping @Sendable () -> String, logger: Logger
    ) -> some ApplicationProtocol {
        let router = Router()
        router.get("/healthz") { _, _ in "ok" }
        router.get("/readyz") { _, _ in isReady() ? text("ok") : text("caches are filling", status: .serviceUnavailable)
        }
        router.get("/metrics") { _, _ in text(metrics(), type: "text/plain; version=0.0.4") }
        router.get("/prometheus/targets") { _, _ in json(targets()) }
        router.get("/debug/proxies") { _, _ in text(proxies(), type: "application/json") }
        return Application(
            router: router,
            configuration: .init(address: .hostname(address, port: port), serverName: "heddle-operator"),
            logger: logger)
    }

    private static func admission(
        _ router: Router<BasicRequestContext>, _ path: RouterPath,
        _ answer: @escaping @Sendable (AdmissionRequest) async -> AdmissionResponse
    ) {
        router.post(path) { request, _ in
            do throws(FieldError) {
                let admission = try AdmissionRequest(review: try await parsed(request))
                return json(await answer(admission).review(uid: admission.uid))
            } catch {
                return json(["error": .string(error.description)], status: .badRequest)
            }
        }
    }

    /// Kubernetes sends at most 3 MiB.
    private static let bodyLimit = 4 << 20

    private static func parsed(_ request: Request) async throws(FieldError) -> JSONValue {
        do {
            let buffer = try await request.body.collect(upTo: bodyLimit)
            return try JSONValue.parse(buffer.readableBytesView)
        } catch {
            throw FieldError(path: "", message: "the body is not readable: \(error)")
        }
    }

    private static func body(of request: Request) async throws(CertificateSigning.Refusal) -> JSONValue {
        do throws(FieldError) {
            return try await parsed(request)
        } catch {
            throw .init(status: 400, message: error.message)
        }
    }

    private static func json(_ value: JSONValue, status: HTTPResponse.Status = .ok) -> Response {
        text(value.serialized(), type: "application/json", status: status)
    }

    private static func text(_ text: String, type: String = "text/plain", status: HTTPResponse.Status = .ok) -> Response
    {
        Response(
            status: status, headers: [.contentType: type], body: .init(byteBuffer: ByteBuffer(string: text)))
    }
}
