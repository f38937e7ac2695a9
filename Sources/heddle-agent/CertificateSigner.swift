import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOHTTP1
import NIOSSL

/// What an authority answers to a signing request.
struct SignedCertificate: Equatable, Sendable {
    let chain: String
    let trustBundle: String
    let notAfter: Date
}

/// Gets signing requests signed.
protocol CertificateSigner: Sendable {
    func sign(csrPEM: String, ttl: Duration) async throws -> SignedCertificate
}

/// The operator's certificate authority, over HTTPS, with the pod's projected token.
///
/// Token and root are read anew for each request, since the kubelet replaces both files over time. The server is
/// verified by the root and by its name.
struct OperatorSigner: CertificateSigner {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    var host: String
    var port: Int
    var tokenFile: String
    var rootFile: String
    /// Addresses to dial instead of asking DNS; for tests.
    var dnsOverride: [String: String] = [:]
    var timeout: Duration = .seconds(10)

    func sign(csrPEM: String, ttl: Duration) async throws -> SignedCertificate {
        let token = try read(tokenFile).filter { !$0.isWhitespace }
        guard !token.isEmpty else { throw Failure(description: "the token file \(tokenFile) is empty") }
        let roots = try NIOSSLCertificate.fromPEMBytes(Array(try read(rootFile).utf8))
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.trustRoots = .certificates(roots)
        var configuration = HTTPClient.Configuration(tlsConfiguration: tls)
        configuration.dnsOverride = dnsOverride
        configuration.timeout.connect = .nanoseconds(timeout.nanoseconds)
        configuration.httpVersion = .http1Only
        // A failure is reported at once; the identity service decides when to try again.
        configuration.connectionPool.retryConnectionEstablishment = false

        var request = HTTPClientRequest(url: "https://\(host):\(port)/v1/certificates")
        request.method = .POST
        request.headers = ["authorization": "Bearer \(token)", "content-type": "application/json"]
        let body = try JSONEncoder().encode(SigningRequest(csr: csrPEM, ttlSeconds: Int(ttl.inSeconds)))
        request.body = .bytes(ByteBuffer(bytes: body))
        let limit = TimeAmount.nanoseconds(timeout.nanoseconds)
        let prepared = request
        return try await HTTPClient.withHTTPClient(configuration: configuration) { client in
            let response = try await client.execute(prepared, timeout: limit)
            let text = String(buffer: try await response.body.collect(upTo: 1 << 20))
            guard response.status == .ok || response.status == .created else {
                throw Failure(description: "the authority answered \(response.status.code): \(text.prefix(300))")
            }
            return try Self.decode(text)
        }
    }

    static func decode(_ text: String) throws -> SignedCertificate {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .custom { decoder in
            let text = try decoder.singleValueContainer().decode(String.self)
            for style in [Date.ISO8601FormatStyle(), Date.ISO8601FormatStyle(includingFractionalSeconds: true)] {
                if let date = try? Date(text, strategy: style) { return date }
            }
            throw Failure(description: "notAfter '\(text)' is no RFC 3339 time")
        }
        let answer = try decoder.decode(SigningAnswer.self, from: Data(text.utf8))
        guard answer.certificateChain.contains("BEGIN CERTIFICATE"), answer.trustBundle.contains("BEGIN CERTIFICATE")
        else {
            throw Failure(description: "the authority's answer carries no certificates")
        }
        return SignedCertificate(
            chain: answer.certificateChain, trustBundle: answer.trustBundle, notAfter: answer.notAfter)
    }

    private func read(_ path: String) throws -> String {
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw Failure(description: "cannot read \(path): is the volume mounted?")
        }
    }

    private struct SigningRequest: Encodable {
        let csr: String
        let ttlSeconds: Int
    }

    private struct SigningAnswer: Decodable {
        let certificateChain, trustBundle: String
        let notAfter: Date
    }
}
