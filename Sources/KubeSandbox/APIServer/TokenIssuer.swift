import Crypto
import FoundationEssentials
import KubeCore

/// Makes and checks the tokens of service accounts: signed JWTs with the claims of a real cluster's.
///
/// Signed with a key of this process (HS256), so only this server can check them, as `TokenReview` does; there is no
/// published key set.
struct TokenIssuer: Sendable {
    let issuer: String
    private let key = SymmetricKey(size: .bits256)

    func issue(_ claims: JSONValue) -> String {
        let header: JSONValue = ["alg": "HS256", "typ": "JWT", "kid": "heddle-sandbox"]
        let text = Base64.encodeURL(header.serializedBytes()) + "." + Base64.encodeURL(claims.serializedBytes())
        let code = HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key)
        return text + "." + Base64.encodeURL(Array(code))
    }

    /// The claims of a token that this issuer signed and that is valid now; else the reason.
    func verify(_ token: String, now: Date) -> Result<JSONValue, TokenFailure> {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let code = Base64.decodeURL(parts[2]) else { return .failure(.init("it is not a JWT")) }
        let text = Array("\(parts[0]).\(parts[1])".utf8)
        guard HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: text, using: key) else {
            return .failure(.init("invalid bearer token: the signature does not fit"))
        }
        guard let body = Base64.decodeURL(parts[1]), let claims = try? JSONValue.parse(body) else {
            return .failure(.init("its claims are not JSON"))
        }
        let seconds = Int(now.timeIntervalSince1970)
        guard claims["iss"]?.string == issuer else { return .failure(.init("another issuer")) }
        guard let expiry = claims["exp"]?.int, seconds < expiry else { return .failure(.init("token has expired")) }
        // A minute of leeway, as clocks differ.
        if let start = claims["nbf"]?.int, seconds + 60 < start { return .failure(.init("token is not valid yet")) }
        return .success(claims)
    }
}

struct TokenFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
