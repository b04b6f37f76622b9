
// The trigger `custom-phone-provider`. Auth0 retries on request, up to five times over the next minutes.
const CHANNELS = new Map([['text', 'sms'], ['voice', 'call']]);

exports.onExecuteCustomPhoneProvider = async (event, api) => {
  const { code, recipient, delivery_method: method, message_type: type } = event?.notification ?? {};
  const outcome = await send(event, { code, recipient, channel: CHANNELS.get(method), type }).catch(verdict);
  if (outcome) api.notification[outcome.act](outcome.reason);
};
