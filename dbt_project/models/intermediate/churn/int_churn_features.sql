-- Churn features: one row per customer and as-of date D, from facts known strictly before the cutoff, the first
-- moment after D. What happened later, an answer or a payment that came later, and the night's own tier moves never
-- count. A value that cannot be known is null, never 0. Corrections are seen as they are known today.
with customers as (

    select * from {{ ref('int_customer_as_of') }}

),

settings as (

    select * from {{ ref('int_churn_settings') }}

),

orders as (

    select * from {{ ref('int_churn_orders') }}

),

products as (

    select * from {{ ref('int_churn_products') }}

),

service as (

    select * from {{ ref('int_churn_service') }}

),

engagement as (

    select * from {{ ref('int_churn_engagement') }}

),

payments as (

    select * from {{ ref('int_churn_payments') }}

),

tiers as (

    select * from {{ ref('int_churn_tiers') }}

)

select
    customers.customer_id,
    customers.as_of_date,
    orders.last_order_on,
    coalesce(orders.recency_days < settings.churn_active_days, false) as is_active_buyer,
    orders.recency_days,
    cast(
        {{ days_between('coalesce(customers.first_order_on, customers.registered_on)', 'customers.as_of_date') }}
        as integer
    ) as tenure_days,
    case when customers.has_order_source then cast(coalesce(orders.order_days, 0) as integer) end as order_days,
    case when customers.has_order_source then cast(coalesce(orders.orders_30d, 0) as integer) end as orders_30d,
    case when customers.has_order_source then cast(coalesce(orders.orders_90d, 0) as integer) end as orders_90d,
    case when customers.has_order_source then cast(coalesce(orders.orders_180d, 0) as integer) end as orders_180d,
    case when customers.has_order_source then cast(coalesce(orders.orders_365d, 0) as integer) end as orders_365d,
    orders.orders_trend_30d,
    orders.orders_trend_90d,
    orders.orders_trend_180d,
    orders.orders_trend_365d,
    case when customers.has_order_source then cast(coalesce(orders.spend_30d, 0) as decimal(18, 2)) end as spend_30d,
    case when customers.has_order_source then cast(coalesce(orders.spend_90d, 0) as decimal(18, 2)) end as spend_90d,
    case when customers.has_order_source then cast(coalesce(orders.spend_180d, 0) as decimal(18, 2)) end as spend_180d,
    case when customers.has_order_source then cast(coalesce(orders.spend_365d, 0) as decimal(18, 2)) end as spend_365d,
    orders.spend_trend_30d,
    orders.spend_trend_90d,
    orders.spend_trend_180d,
    orders.spend_trend_365d,
    orders.average_gap_days,
    orders.gap_deviation_days,
    orders.longest_gap_days,
    orders.rhythm_ratio,
    orders.rhythm_excess,
    case when customers.has_order_source then cast(coalesce(products.categories_365d, 0) as integer) end
        as categories_365d,
    case when customers.has_order_source then cast(coalesce(products.products_365d, 0) as integer) end as products_365d,
    products.products_trend_180d,
    service.tickets_90d,
    service.tickets_365d,
    service.complaints_90d,
    service.complaints_365d,
    service.complaints_change_90d,
    service.open_tickets,
    service.first_response_hours_365d,
    service.resolution_hours_365d,
    service.satisfaction_365d,
    service.satisfaction_change,
    engagement.logins_30d,
    engagement.logins_before_30d,
    engagement.logins_90d,
    engagement.login_trend_90d,
    engagement.days_since_login,
    engagement.interactions_90d,
    engagement.interaction_trend_90d,
    engagement.participations_365d,
    payments.on_time_rate_365d,
    payments.days_overdue_365d,
    payments.days_overdue_change,
    payments.overdue_invoices,
    tiers.tier_downgrades_365d,
    tiers.tier_upgrades_365d,
    case when customers.has_order_source then coalesce(orders.orders_before_90d, 0) end as orders_before_90d
from customers
inner join settings
    on customers.as_of_date = settings.as_of_date
left join orders
    on
        customers.customer_id = orders.customer_id
        and customers.as_of_date = orders.as_of_date
left join products
    on
        customers.customer_id = products.customer_id
        and customers.as_of_date = products.as_of_date
left join service
    on
        customers.customer_id = service.customer_id
        and customers.as_of_date = service.as_of_date
left join engagement
    on
        customers.customer_id = engagement.customer_id
        and customers.as_of_date = engagement.as_of_date
left join payments
    on
        customers.customer_id = payments.customer_id
        and customers.as_of_date = payments.as_of_date
left join tiers
    on
        customers.customer_id = tiers.customer_id
        and customers.as_of_date = tiers.as_of_date
