import HTTPTypes
import KubeCore

extension APIServer {
    /// Whom a caller acts as, by the `Impersonate-*` headers; the caller when there are none.
    /// - Throws: `Forbidden` when the caller may not, `BadRequest` for headers that name groups and no user.
    func impersonated(_ caller: Caller, _ headers: HTTPFields) throws(APIError) -> Caller {
        var user = ""
        var uid = ""
        var groups: [String] = []
        var extra: [String: [String]] = [:]
        for field in headers {
            let name = field.name.canonicalName
            switch name {
            case "impersonate-user": user = field.value
            case "impersonate-uid": uid = field.value
            case "impersonate-group": groups.append(field.value)
            default:
                guard name.hasPrefix("impersonate-extra-") else { continue }
                extra[String(name.dropFirst(18)), default: []].append(field.value)
            }
        }
        guard !user.isEmpty else {
            if groups.isEmpty, extra.isEmpty, uid.isEmpty { return caller }
            throw .badRequest("requested [groups extra uid] without impersonating a user")
        }
        var asked = [AccessAttributes(verb: "impersonate", resource: "users", name: user)]
        let account = user.split(separator: ":").map(String.init)
        let isAccount = account.count == 4 && user.hasPrefix("system:serviceaccount:")
        if isAccount {
            asked = [
                AccessAttributes(
                    verb: "impersonate", resource: "serviceaccounts", name: account[3], namespace: account[2])
            ]
        }
        asked += groups.map { AccessAttributes(verb: "impersonate", resource: "groups", name: $0) }
        for one in asked { try authorize(caller, one) }
        if isAccount, groups.isEmpty {
            groups = ["system:serviceaccounts", "system:serviceaccounts:\(account[2])"]
        }
        if user != "system:anonymous", !groups.contains("system:authenticated") {
            groups.append("system:authenticated")
        }
        return Caller(name: user, uid: uid, groups: groups, extra: extra, userAgent: caller.userAgent)
    }
}
