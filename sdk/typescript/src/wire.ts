// Made by wire.mjs of the server's OpenAPI document. Not to be changed by hand.

export interface components {
    schemas: {
        Amr: string[];
        ChangePasswordRequest: {
            current_password: components["schemas"]["Password"];
            new_password: components["schemas"]["NewPassword"];
        };
        /** @description Six digits of the app, or a recovery code. White space and hyphens do not count. */
        Code: string;
        ConfirmTotpRequest: {
            /** @description The current code of the app. */
            code: components["schemas"]["Code"];
            /** @description Whether all sessions but the one that calls are revoked. They were opened without the second factor. */
            revoke_other_sessions?: boolean;
        };
        /** @description The device of a client, as far as its user agent tells. */
        Device: {
            /** @description The browser, or the program or app in its place, without a version: `Firefox`, `curl`. */
            browser: string | null;
            /** @description A name for people: `Firefox on Windows`, `Safari on iPhone`, `curl`. */
            label: string;
            /** @description Without a version: `Windows`, `macOS`, `iOS`, `Android`. */
            os: string | null;
            /** @description `desktop`, `mobile`, `tablet`, `tv`, `console`, `bot`, `program` or `unknown`. */
            type: string;
        };
        /** Format: idn-email */
        EmailAddress: string;
        /** @description An error of one field of a request. */
        FieldError: {
            /** @description The stable code of the error. */
            code: string;
            /** @description The name of the field. */
            field: string;
            /** @description The text for people. */
            message: string;
        };
        Label: string;
        /** @description The place of an IP address. */
        Location: {
            city: string | null;
            /** @description The code of ISO 3166-1, two letters. */
            country: string | null;
            /** @description In English, as is the city. */
            country_name: string | null;
        };
        LoginRequest: {
            device_name?: string | null;
            email: components["schemas"]["EmailAddress"];
            parent_id?: components["schemas"]["SessionId"] | null;
            password: components["schemas"]["Password"];
            transport?: components["schemas"]["Transport"];
            /** @description `trusted_device` of an earlier login from this device. With cookies it is in one. */
            trusted_device?: string | null;
        };
        /** @description Tokens, or a login that waits for its second factor. */
        LoginResponse: components["schemas"]["TokenResponse"] | components["schemas"]["SecondFactorRequired"];
        /** @description The account that calls, and the session and token that it calls with. */
        Me: {
            access_token_expires_at: components["schemas"]["Timestamp"];
            /** @description Whether emails tell of unusual logins. Some alerts are sent in any case. */
            alerts: boolean;
            /** @description The language of pages and emails that was chosen, as a tag of BCP 47. */
            language: string | null;
            /** @description Whether logins need a second factor. */
            mfa_enabled: boolean;
            server_time: components["schemas"]["Timestamp"];
            session_id: components["schemas"]["SessionId"];
            user: components["schemas"]["User"];
        };
        /**
         * @description A method of the second factor.
         * @enum {string}
         */
        Method: "totp" | "recovery_code";
        /**
         * Format: password
         * @description At least 8 bytes in UTF-8, and not easy to guess.
         */
        NewPassword: string;
        /** Format: password */
        Password: string;
        /** @description The stable code for programs. Others may be added. */
        ProblemCode: ("account_deletion_pending" | "account_disabled" | "already_refreshed" | "body_too_large" | "busy" | "clock_skew" | "current_session" | "database_unavailable" | "dpop_key_mismatch" | "dpop_not_bound" | "dpop_required" | "dpop_with_cookies" | "duplicate_cookie" | "duplicate_header" | "email_not_verified" | "email_taken" | "forbidden" | "head_too_large" | "impersonated" | "incomplete_body" | "insufficient_role" | "insufficient_scope" | "insufficient_user_authentication" | "internal_error" | "invalid_client" | "invalid_code" | "invalid_credentials" | "invalid_dpop_proof" | "invalid_idempotency_key" | "invalid_input" | "invalid_mfa_token" | "invalid_one_time_token" | "invalid_refresh_token" | "invalid_token" | "last_administrator" | "malformed_authorization" | "malformed_cookie" | "malformed_form" | "malformed_json" | "malformed_request" | "method_not_allowed" | "mfa_already_enabled" | "mfa_not_enabled" | "mfa_not_started" | "mfa_required" | "missing_token" | "no_deletion" | "not_found" | "origin_not_allowed" | "own_account" | "password_set" | "refresh_token_replaced" | "refresh_token_reused" | "registration_closed" | "request_timeout" | "second_factor_required" | "session_expired" | "session_revoked" | "too_many_emails" | "too_many_failures" | "too_many_requests" | "too_many_secrets" | "unsupported_media_type" | "use_dpop_nonce" | "wrong_audience") | string;
        /** @description The body of an error response (RFC 9457 §3). */
        ProblemDetails: {
            code: components["schemas"]["ProblemCode"];
            /**
             * Format: date-time
             * @description With `account_deletion_pending` at a login: when the account is deleted.
             */
            deletes_at?: string | null;
            detail: string;
            errors?: components["schemas"]["FieldError"][];
            request_id: string;
            /** @description Whether the same request may succeed later. */
            retryable: boolean;
            /** Format: int32 */
            status: number;
            title: string;
            /** @description The URI of the kind of problem. */
            type: string;
        };
        ReauthenticateRequest: {
            code?: components["schemas"]["Code"] | null;
            password: components["schemas"]["Password"];
        };
        /** @description Codes to log in with when the app is lost, each valid once. They are shown only once. */
        RecoveryCodes: {
            recovery_codes: string[];
        };
        RegisterRequest: {
            /** @description The name that the session has in lists. */
            device_name?: string | null;
            email: components["schemas"]["EmailAddress"];
            name?: components["schemas"]["Label"] | null;
            password: components["schemas"]["NewPassword"];
            transport?: components["schemas"]["Transport"];
        };
        /** @description The tokens of the new account's first session, or where to go on. */
        RegisterResponse: components["schemas"]["TokenResponse"] | components["schemas"]["VerificationRequired"];
        RenameRequest: {
            name: components["schemas"]["Label"] | null;
        };
        Roles: string[];
        SecondFactorRequest: {
            code: components["schemas"]["Code"];
            method: components["schemas"]["Method"];
            /** @description `mfa_token` of the login's response. */
            mfa_token: string;
            /** @description Whether later logins from this device need no second factor, for 30 days. */
            remember_device?: boolean;
        };
        /** @description A login that waits for its second factor. */
        SecondFactorRequired: {
            /**
             * Format: int64
             * @description Seconds that the login waits.
             */
            expires_in: number;
            methods: components["schemas"]["Method"][];
            /** @description Always true. */
            mfa_required: boolean;
            mfa_token: string;
        };
        /** @description A session as its owner sees it. */
        Session: {
            /** @description How its owner authenticated (RFC 8176). */
            amr: components["schemas"]["Amr"];
            created_at: components["schemas"]["Timestamp"];
            device: components["schemas"]["Device"];
            /** @description Whether its tokens are bound to a key of the client (RFC 9449). */
            dpop: boolean;
            expires_at: components["schemas"]["Timestamp"];
            id: components["schemas"]["SessionId"];
            impersonated_by: components["schemas"]["UserId"] | null;
            ip_address: string | null;
            /** @description Whether it is the session that calls. */
            is_current: boolean;
            /** @description Whether it has ended: it expired or was revoked. */
            is_expired: boolean;
            /** @description `app`, or `browser` for a login on this server's pages. */
            kind: components["schemas"]["SessionKind"];
            last_active_at: components["schemas"]["Timestamp"];
            location: components["schemas"]["Location"] | null;
            /** @description The name that its owner gave it. */
            name: string | null;
            parent_id: components["schemas"]["SessionId"] | null;
            revoked_at: components["schemas"]["Timestamp"] | null;
            revoked_reason: string | null;
            /** @description The beginning of the refresh token's SHA-256, in hexadecimal digits. */
            token_hint: string;
        };
        /** Format: uuid */
        SessionId: string;
        /** @enum {string} */
        SessionKind: "app" | "browser";
        /** @description The sessions of an account, newest first. */
        SessionList: {
            active_count: number;
            count: number;
            sessions: components["schemas"]["Session"][];
        };
        /** @description The number of sessions that were revoked. */
        SessionsRevoked: {
            sessions_revoked: number;
        };
        /** Format: date-time */
        Timestamp: string;
        /** @description The tokens of a session. With cookies as transport they are not in the body. */
        TokenResponse: {
            access_token?: string | null;
            /**
             * Format: int64
             * @description Seconds until the access token expires.
             */
            expires_in: number;
            /**
             * Format: int64
             * @description Seconds after which the client should refresh.
             */
            refresh_after: number;
            /** @description Missing where the client keeps the one that it has. */
            refresh_token?: string | null;
            /**
             * Format: int64
             * @description Seconds until the refresh token expires.
             */
            refresh_token_expires_in: number;
            server_time: components["schemas"]["Timestamp"];
            session_id: components["schemas"]["SessionId"];
            /** @description `Bearer`, or `DPoP` if the tokens are bound to a key (RFC 9449). */
            token_type: string;
            /** @description Lets later logins from this device do without a second factor. */
            trusted_device?: string | null;
            user: components["schemas"]["User"];
        };
        /** @description A secret for an authenticator app. It is shown only once. */
        TotpEnrolment: {
            otpauth_uri: string;
            qr_svg: string;
            /** @description In Base32. */
            secret: string;
        };
        /** @enum {string} */
        Transport: "bearer" | "cookie";
        /** @description A device from which the account logs in without a second factor. */
        TrustedDevice: {
            created_at: components["schemas"]["Timestamp"];
            device: components["schemas"]["Device"];
            expires_at: components["schemas"]["Timestamp"];
            id: components["schemas"]["TrustedDeviceId"];
            ip_address: string | null;
            last_used_at: components["schemas"]["Timestamp"];
        };
        /** Format: uuid */
        TrustedDeviceId: string;
        /** @description The devices from which an account logs in without a second factor, newest first. */
        TrustedDeviceList: {
            count: number;
            trusted_devices: components["schemas"]["TrustedDevice"][];
        };
        /** @description The number of trusted devices that were deleted. */
        TrustedDevicesDeleted: {
            devices_removed: number;
        };
        UpdateMeRequest: {
            /** @description Whether emails tell of unusual logins. */
            alerts?: boolean;
            /** @description A language of `UI_LANGUAGES`, for pages and emails. `null` leaves it to each request. */
            language?: string | null;
            name?: components["schemas"]["Label"] | null;
        };
        /** @description An account as its tokens describe it. */
        User: {
            email: string;
            /** @description Whether the email address is verified. */
            email_verified: boolean;
            id: components["schemas"]["UserId"];
            name: string | null;
            roles: components["schemas"]["Roles"];
        };
        /** Format: uuid */
        UserId: string;
        /** @description An account whose owner can log in once the email address is verified. */
        VerificationRequired: {
            /** @description Always true. */
            email_verification_required: boolean;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
