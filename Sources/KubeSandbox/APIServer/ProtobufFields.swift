/// Field numbers of the messages that `kubectl`'s typed clients send; from upstream's `generated.proto` files.
enum ProtobufFields {
    enum Shape: Sendable { case plain, optional, list, map, skipped }

    struct Field: Sendable {
        var name: String
        var type: String
        var shape: Shape
    }

    /// Fields by number, by message.
    static let messages: [String: [Int: Field]] = {
        var messages: [String: [Int: Field]] = [:]
        for line in table.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            var fields: [Int: Field] = [:]
            for entry in parts[1].split(separator: ",") {
                let words = entry.split(separator: " ").map(String.init)
                guard words.count >= 2, let number = Int(words[0]) else { continue }
                fields[number] = field(words[1], words.count > 2 ? words[2] : "string")
            }
            for message in parts[0].split(separator: " ") { messages[String(message)] = fields }
        }
        return messages
    }()

    private static func field(_ name: String, _ type: String) -> Field {
        if type == "-" { return Field(name: name, type: "", shape: .skipped) }
        if type.hasSuffix("?") { return Field(name: name, type: String(type.dropLast()), shape: .optional) }
        if type.hasPrefix("[]") { return Field(name: name, type: String(type.dropFirst(2)), shape: .list) }
        if type.hasPrefix("map:") { return Field(name: name, type: String(type.dropFirst(4)), shape: .map) }
        return Field(name: name, type: type, shape: .plain)
    }

    /// `Message: number name [type]`, the type `string` unless said; `?` a pointer in Go, `-` read and dropped (what the
    /// server computes, or does not act on).
    private static let table = """
        TypeMeta: 1 apiVersion, 2 kind
        ObjectMeta: 1 name, 2 generateName, 3 namespace, 4 selfLink, 5 uid, 6 resourceVersion, 7 generation int, \
        8 creationTimestamp Time, 9 deletionTimestamp Time?, 10 deletionGracePeriodSeconds int?, 11 labels map:string, \
        12 annotations map:string, 13 ownerReferences []OwnerReference, 14 finalizers []string, 17 managedFields -
        OwnerReference: 1 kind, 3 name, 4 uid, 5 apiVersion, 6 controller bool?, 7 blockOwnerDeletion bool?
        Time: 1 seconds int, 2 nanos int
        Quantity: 1 string
        IntOrString: 1 type int, 2 intVal int, 3 strVal
        LabelSelector: 1 matchLabels map:string, 2 matchExpressions []LabelSelectorRequirement
        LabelSelectorRequirement: 1 key, 2 operator, 3 values []string
        DeleteOptions: 1 gracePeriodSeconds int?, 2 preconditions Preconditions?, 3 orphanDependents bool?, \
        4 propagationPolicy string?, 5 dryRun []string
        Preconditions: 1 uid string?, 2 resourceVersion string?
        Namespace: 1 metadata ObjectMeta, 2 spec NamespaceSpec, 3 status -
        NamespaceSpec: 1 finalizers []string
        ConfigMap: 1 metadata ObjectMeta, 2 data map:string, 3 binaryData map:bytes, 4 immutable bool?
        Secret: 1 metadata ObjectMeta, 2 data map:bytes, 3 type, 4 stringData map:string, 5 immutable bool?
        ServiceAccount: 1 metadata ObjectMeta, 2 secrets []ObjectReference, 3 imagePullSecrets []LocalObjectReference, \
        4 automountServiceAccountToken bool?
        ObjectReference: 1 kind, 2 namespace, 3 name, 4 uid, 5 apiVersion, 6 resourceVersion, 7 fieldPath
        LocalObjectReference: 1 name
        Service: 1 metadata ObjectMeta, 2 spec ServiceSpec, 3 status -
        ServiceSpec: 1 ports []ServicePort, 2 selector map:string, 3 clusterIP, 4 type, 5 externalIPs []string, \
        7 sessionAffinity, 8 loadBalancerIP, 9 loadBalancerSourceRanges []string, 10 externalName, \
        11 externalTrafficPolicy, 12 healthCheckNodePort int, 13 publishNotReadyAddresses bool, 17 ipFamilyPolicy string?, \
        18 clusterIPs []string, 19 ipFamilies []string, 22 internalTrafficPolicy string?
        ServicePort: 1 name, 2 protocol, 3 port int, 4 targetPort IntOrString, 5 nodePort int, 6 appProtocol string?
        Deployment: 1 metadata ObjectMeta, 2 spec DeploymentSpec, 3 status -
        DeploymentSpec: 1 replicas int?, 2 selector LabelSelector?, 3 template PodTemplateSpec, \
        4 strategy DeploymentStrategy, 5 minReadySeconds int, 6 revisionHistoryLimit int?, 7 paused bool, \
        9 progressDeadlineSeconds int?
        DeploymentStrategy: 1 type, 2 rollingUpdate RollingUpdateDeployment?
        RollingUpdateDeployment: 1 maxUnavailable IntOrString?, 2 maxSurge IntOrString?
        PodTemplateSpec: 1 metadata ObjectMeta, 2 spec PodSpec
        PodSpec: 2 containers []Container, 3 restartPolicy, 4 terminationGracePeriodSeconds int?, \
        5 activeDeadlineSeconds int?, 6 dnsPolicy, 7 nodeSelector map:string, 8 serviceAccountName, 9 serviceAccount, \
        10 nodeName, 11 hostNetwork bool, 12 hostPID bool, 13 hostIPC bool, 16 hostname, 17 subdomain, 19 schedulerName, \
        24 priorityClassName
        Container: 1 name, 2 image, 3 command []string, 4 args []string, 5 workingDir, 6 ports []ContainerPort, \
        7 env []EnvVar, 8 resources ResourceRequirements, 13 terminationMessagePath, 14 imagePullPolicy, 16 stdin bool, \
        17 stdinOnce bool, 18 tty bool, 20 terminationMessagePolicy
        ContainerPort: 1 name, 2 hostPort int, 3 containerPort int, 4 protocol, 5 hostIP
        EnvVar: 1 name, 2 value
        ResourceRequirements: 1 limits map:Quantity, 2 requests map:Quantity
        Job: 1 metadata ObjectMeta, 2 spec JobSpec, 3 status -
        JobSpec: 1 parallelism int?, 2 completions int?, 3 activeDeadlineSeconds int?, 4 selector LabelSelector?, \
        5 manualSelector bool?, 6 template PodTemplateSpec, 7 backoffLimit int?, 8 ttlSecondsAfterFinished int?
        CronJob: 1 metadata ObjectMeta, 2 spec CronJobSpec, 3 status -
        CronJobSpec: 1 schedule, 2 startingDeadlineSeconds int?, 3 concurrencyPolicy, 4 suspend bool?, \
        5 jobTemplate JobTemplateSpec, 6 successfulJobsHistoryLimit int?, 7 failedJobsHistoryLimit int?
        JobTemplateSpec: 1 metadata ObjectMeta, 2 spec JobSpec
        PodDisruptionBudget: 1 metadata ObjectMeta, 2 spec PodDisruptionBudgetSpec, 3 status -
        PodDisruptionBudgetSpec: 1 minAvailable IntOrString?, 2 selector LabelSelector?, 3 maxUnavailable IntOrString?
        Eviction: 1 metadata ObjectMeta, 2 deleteOptions DeleteOptions?
        Role ClusterRole: 1 metadata ObjectMeta, 2 rules []PolicyRule
        PolicyRule: 1 verbs []string, 2 apiGroups []string, 3 resources []string, 4 resourceNames []string, \
        5 nonResourceURLs []string
        RoleBinding ClusterRoleBinding: 1 metadata ObjectMeta, 2 subjects []Subject, 3 roleRef RoleRef
        Subject: 1 kind, 2 apiGroup, 3 name, 4 namespace
        RoleRef: 1 apiGroup, 2 kind, 3 name
        TokenRequest: 1 metadata ObjectMeta, 2 spec TokenRequestSpec, 3 status -
        TokenRequestSpec: 1 audiences []string, 3 boundObjectRef BoundObjectReference?, 4 expirationSeconds int?
        BoundObjectReference: 1 kind, 2 apiVersion, 3 name, 4 uid
        TokenReview: 1 metadata ObjectMeta, 2 spec TokenReviewSpec, 3 status -
        TokenReviewSpec: 1 token, 2 audiences []string
        SelfSubjectReview: 1 metadata ObjectMeta, 2 status -
        SubjectAccessReview LocalSubjectAccessReview: 1 metadata ObjectMeta, 2 spec SubjectAccessReviewSpec, 3 status -
        SubjectAccessReviewSpec: 1 resourceAttributes ResourceAttributes?, \
        2 nonResourceAttributes NonResourceAttributes?, 3 user, 4 groups []string, 5 extra -, 6 uid
        SelfSubjectAccessReview: 1 metadata ObjectMeta, 2 spec SelfSubjectAccessReviewSpec, 3 status -
        SelfSubjectAccessReviewSpec: 1 resourceAttributes ResourceAttributes?, \
        2 nonResourceAttributes NonResourceAttributes?
        ResourceAttributes: 1 namespace, 2 verb, 3 group, 4 version, 5 resource, 6 subresource, 7 name
        NonResourceAttributes: 1 path, 2 verb
        SelfSubjectRulesReview: 1 metadata ObjectMeta, 2 spec SelfSubjectRulesReviewSpec, 3 status -
        SelfSubjectRulesReviewSpec: 1 namespace
        """
}
