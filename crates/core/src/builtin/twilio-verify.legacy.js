
// The trigger `send-phone-message` of the legacy phone set-up. It knows no retry: a failure is thrown, the login
// waits for it, and Auth0 logs `gd_send_sms_failure` or `gd_send_voice_failure` with the reason.
const CHANNELS = new Map([['sms', 'sms'], ['voice', 'call']]);

exports.onExecuteSendPhoneMessage = async (event) => {
  const { code, recipient, message_type: method, action: type } = event?.message_options ?? {};
  const outcome = await send(event, { code, recipient, channel: CHANNELS.get(method), type }).catch(verdict);
  if (outcome) throw new Error(outcome.reason);
};
